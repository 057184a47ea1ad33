"""A teacher: a convolutional network, trained first; its probabilities tell more of an image than a label does.

https://arxiv.org/abs/1503.02531 (Hinton et al.). The student is told what the teacher makes of the very view that it is
shown, mirrored and moved as it is: https://arxiv.org/abs/2106.05237 (Beyer et al.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import Config
from training.engine import losses, subnormal, trainer
from training.engine.augment import Augment
from training.engine.loop import Rows
from training.engine.trainer import Epoch

_CHANNELS: Final = 24  # twice and four times as many further in
_LOGIT_SCALE: Final = 0.2  # of the largest values of the last channels
_CHOICES: Final[dict[str, Any]] = {"optimizer": "sgd", "lr": 0.15, "weight_decay": 5e-4, "batch_size": 256}
_SHARE: Final = 0.9  # of what is to be learned comes from the teacher, the rest from the label
_CHUNK_ROWS: Final = 128  # what the first convolutions make of more would not stay in the cache


@dataclass(frozen=True, slots=True)
class Lesson:
    """``targets`` float32 (rows, ways, classes) to learn instead of the labels; how the teacher came to know them."""

    targets: Tensor
    history: list[Epoch]


def lesson(
    train: Rows,
    validation: Rows,
    classes: int,
    config: Config,
    augment: Augment,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None] = lambda: None,
) -> Lesson:
    """Train a teacher of prepared images on their labels int64 (rows,), then ask it; ``on_step`` is called all the
    while, and may end that by what it raises. Raises `Diverged`."""
    body = convolutional(augment.height, augment.width, classes).to(train.inputs.device)
    chosen = replace(config, epochs=config.teacher_epochs, patience=0, **_CHOICES)
    # Not smoothed: a teacher of smoothed labels has more accuracy and less to tell (https://arxiv.org/abs/1906.02629).
    goal = losses.classification()
    history = trainer.fit(body, train, validation, goal, chosen, augment=augment, on_epoch=on_epoch, on_step=on_step)
    smoothing = config.label_smoothing
    labels = functional.one_hot(train.targets, classes) * (1 - smoothing) + smoothing / classes
    probabilities = _probabilities(body, cast("Tensor", train.inputs), augment, on_step)
    return Lesson(_SHARE * probabilities + (1 - _SHARE) * labels.unsqueeze(1), history)


def convolutional(height: int, width: int, classes: int) -> nn.Sequential:
    """Logits (rows, classes) of pixels float32 (rows, height x width): seven 3x3 convolutions, four of them in pairs
    that add to what they are given (https://arxiv.org/abs/1512.03385), at the full, half and quarter resolution."""
    return nn.Sequential(
        _Image(height, width),
        *_convolution(1, _CHANNELS),
        *_convolution(_CHANNELS, 2 * _CHANNELS),
        nn.MaxPool2d(2),
        _Pair(2 * _CHANNELS),
        *_convolution(2 * _CHANNELS, 4 * _CHANNELS),
        nn.MaxPool2d(2),
        _Pair(4 * _CHANNELS),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        _Scale(_LOGIT_SCALE),
        nn.Linear(4 * _CHANNELS, classes),
    )


@subnormal.flushed()
@torch.inference_mode()
def _probabilities(body: nn.Sequential, images: Tensor, augment: Augment, on_step: Callable[[], None]) -> Tensor:
    """Of each of ``images`` in each way, float32 (rows, ways, classes)."""
    half = trainer.half_precision_pays(images.device, body)
    chunks = []
    for chunk in torch.split(images, _CHUNK_ROWS):
        on_step()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            logits = torch.stack([body(augment.seen(chunk, way)) for way in augment.ways], dim=1)
        chunks.append(torch.softmax(logits.float(), dim=2))
    return torch.cat(chunks)


def _convolution(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


class _Image(nn.Module):
    """Rows of pixels as images with the channels last in memory, which convolutions on a processor are fastest with."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(rows, 1, height, width)."""
        return pixels.view(-1, *self.shape).permute(0, 3, 1, 2)


class _Pair(nn.Module):
    """What came in, and what two convolutions make of it."""

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
