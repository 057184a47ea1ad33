"""Knowledge distillation: train a convolutional teacher, whose probabilities tell more about an image than its label.

https://arxiv.org/abs/1503.02531 (Hinton et al.). The student learns the teacher's probabilities for exactly the view
that it sees, mirrored and shifted alike: https://arxiv.org/abs/2106.05237 (Beyer et al.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import Config
from training.engine import arithmetic, losses, subnormal, trainer
from training.engine.augment import Augment
from training.engine.batches import InMemoryBatches
from training.engine.loop import Rows
from training.engine.trainer import Epoch

_CHANNELS: Final = 24  # of the first convolution; doubled after each pooling
_LOGIT_SCALE: Final = 0.2  # of the pooled features
_OPTIONS: Final[dict[str, Any]] = {"optimizer": "sgd", "lr": 0.15, "weight_decay": 5e-4, "batch_size": 256}
_TEACHER_SHARE: Final = 0.9  # of the soft targets; the rest comes from the label
_CHUNK_ROWS: Final = 128  # activations of the first convolutions then fit into the cache


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """``targets`` float32 (rows, transforms, classes) to learn instead of the labels, and the teacher's ``history``."""

    targets: Tensor
    history: list[Epoch]


def soft_targets(
    train: Rows,
    validation: Rows,
    classes: int,
    config: Config,
    augment: Augment,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None] = lambda: None,
) -> SoftTargets:
    """Train a teacher on preprocessed images and labels int64 (rows,), and mix its probabilities with the labels.

    ``on_step`` is called before each step of training and prediction, and may end either by raising. Raises `Diverged`.
    """
    teacher = convolutional(augment.height, augment.width, classes).to(train.inputs.device)
    options = replace(config, epochs=config.teacher_epochs, patience=0, **_OPTIONS)
    # Label smoothing makes a teacher more accurate but less informative: https://arxiv.org/abs/1906.02629
    goal = losses.classification()
    kind = arithmetic.of_run(teacher, validation.inputs, options)
    history = trainer.fit(
        teacher,
        InMemoryBatches(train),
        validation,
        goal,
        options,
        augment=augment,
        on_epoch=on_epoch,
        on_step=on_step,
        half=kind.half,
    )
    smoothing = config.label_smoothing
    labels = functional.one_hot(train.targets, classes) * (1 - smoothing) + smoothing / classes
    probabilities = _probabilities(teacher, cast("Tensor", train.inputs), augment, on_step, half=kind.half)
    return SoftTargets(_TEACHER_SHARE * probabilities + (1 - _TEACHER_SHARE) * labels.unsqueeze(1), history)


def convolutional(height: int, width: int, classes: int) -> nn.Sequential:
    """A network from pixels float32 (rows, height x width) to logits (rows, classes): seven 3x3 convolutions.

    Four of them form two residual blocks (https://arxiv.org/abs/1512.03385), at half and at quarter resolution.
    """
    return nn.Sequential(
        _Image(height, width),
        *_convolution(1, _CHANNELS),
        *_convolution(_CHANNELS, 2 * _CHANNELS),
        nn.MaxPool2d(2),
        _Residual(2 * _CHANNELS),
        *_convolution(2 * _CHANNELS, 4 * _CHANNELS),
        nn.MaxPool2d(2),
        _Residual(4 * _CHANNELS),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        _Scale(_LOGIT_SCALE),
        nn.Linear(4 * _CHANNELS, classes),
    )


@subnormal.flushed()
@torch.inference_mode()
def _probabilities(
    teacher: nn.Sequential, images: Tensor, augment: Augment, on_step: Callable[[], None], *, half: bool
) -> Tensor:
    """Class probabilities of ``images`` under each transform, float32 (rows, transforms, classes)."""
    chunks = []
    for chunk in torch.split(images, _CHUNK_ROWS):
        on_step()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            logits = torch.stack([teacher(augment.transformed(chunk, each)) for each in augment.transforms], dim=1)
        chunks.append(torch.softmax(logits.float(), dim=2))
    return torch.cat(chunks)


def _convolution(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


class _Image(nn.Module):
    """View rows of pixels as images, with the channels last in memory, which is fastest for convolutions on a CPU."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(rows, 1, height, width)."""
        return pixels.view(-1, *self.shape).permute(0, 3, 1, 2)


class _Residual(nn.Module):
    """Add the output of two convolutions to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.both = nn.Sequential(*_convolution(channels, channels), *_convolution(channels, channels))

    def forward(self, values: Tensor) -> Tensor:
        added: Tensor = values + self.both(values)
        return added


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        return values * self.factor
