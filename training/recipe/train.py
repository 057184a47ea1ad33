"""A data set becomes a trained, calibrated network: prepare, fit, calibrate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import Config, flag_of
from training.data import precision
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine import losses
from training.engine.augment import Augment, ways
from training.engine.loop import Rows
from training.engine.trainer import Epoch, fit
from training.errors import OptionError
from training.model import calibration, preprocess, whitening
from training.model.network import Network, localise, perceptron
from training.recipe import distillation

_BATCH_ROWS: Final = 8192


@dataclass(frozen=True, slots=True)
class Learned:
    """A network that answers, how it came to that, its teacher's way there (no epochs where it had none), and the
    temperature in it (None where it gives numbers)."""

    network: Network
    history: list[Epoch]
    teacher_history: list[Epoch]
    temperature: float | None


def learn(
    dataset: Dataset,
    split: Split,
    config: Config,
    device: torch.device,
    on_epoch: Callable[[Epoch], None],
    on_teacher_epoch: Callable[[Epoch], None] = lambda _: None,
    on_step: Callable[[], None] = lambda: None,
) -> Learned:
    """Train on the training rows, calibrate on the validation rows; the test rows are not looked at.

    ``on_step`` is called before each step, and may end training by what it raises. The random state of the process is
    left as it was. Raises `Diverged` and `OptionError`.
    """
    _check(dataset, config)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        preparation = preprocess.fitted(dataset.columns, dataset.inputs[split.train], together=dataset.images)
        outputs = len(dataset.labels) or dataset.targets.shape[1]
        body = perceptron(
            preparation.width,
            config.hidden,
            outputs,
            config.activation,
            config.dropout,
            batch_norm=config.batch_norm,
        )
        if config.local_pixels:
            height, width = dataset.shape
            localise(cast("nn.Linear", body[0]), height, width, config.local_pixels)
        network = Network(preparation, body, outputs)
        if not dataset.classifies:
            _standardise_targets(network, dataset.targets[split.train])
        body.to(device)  # the rest may be in float64, which not every device has
        goal = _objective(dataset, config)
        class_weights = _class_weights(dataset, split, config)
        train = _rows(network, dataset, split.train, class_weights, device)
        validation = _rows(network, dataset, split.validation, class_weights, device)
        _silence(cast("nn.Linear", body[0]), cast("Tensor", train.inputs))
        if config.whiten:
            body.insert(0, whitening.fitted(cast("Tensor", train.inputs), config.whiten))
        augment = _augment(dataset, config, preparation)
        teacher_history: list[Epoch] = []
        if config.teacher_epochs:
            assert augment is not None  # noqa: S101 - _augment gives one where there is a teacher
            lesson = distillation.lesson(train, validation, outputs, config, augment, on_teacher_epoch, on_step)
            teacher_history = lesson.history
            train, goal = train._replace(targets=lesson.targets), losses.distillation()
        history = fit(body, train, validation, goal, config, augment=augment, on_epoch=on_epoch, on_step=on_step)
    network.cpu().eval()
    if not dataset.classifies:
        return Learned(network, history, teacher_history, None)
    logits = outputs_of(network, dataset.inputs[split.validation])
    labels = dataset.targets[split.validation]
    row_weights = None if class_weights is None else class_weights.numpy()[labels]
    temperature = calibration.temperature(logits, labels, row_weights)
    network.output_scale.fill_(1 / temperature)
    return Learned(network, history, teacher_history, temperature)


@torch.no_grad()
def outputs_of(network: Network, inputs: NDArray[Any]) -> NDArray[Any]:
    """The network's own outputs (rows, outputs) for raw ``inputs`` (rows, features)."""
    parts = [
        network(torch.from_numpy(inputs[first : first + _BATCH_ROWS]).to(network.prepare.takes))
        for first in range(0, len(inputs), _BATCH_ROWS)
    ]
    values: NDArray[Any] = torch.cat(parts).numpy()
    return values


def answers_of(network: Network, inputs: NDArray[Any], *, classifies: bool) -> list[NDArray[Any]]:
    """What a client is to be told of raw ``inputs``: probabilities and prediction, or values, in the graph's order."""
    outputs = outputs_of(network, inputs)
    if not classifies:
        return [outputs]
    return [torch.softmax(torch.from_numpy(outputs), dim=1).numpy(), outputs.argmax(axis=1)]


def _rows(
    network: Network,
    dataset: Dataset,
    part: NDArray[np.int64],
    class_weights: Tensor | None,
    device: torch.device,
) -> Rows:
    """Prepared once, and only then brought to the ``device``: nothing of it is left to do in the loop."""
    inputs = network.prepare(torch.from_numpy(dataset.inputs[part]).to(network.prepare.takes)).to(device)
    targets = torch.from_numpy(dataset.targets[part])
    if not dataset.classifies:
        targets = ((targets - network.output_offset.double()) / network.output_scale.double()).float()
    weights = None if class_weights is None else class_weights[targets].to(device)
    return Rows(inputs, targets.to(device), weights)


def _class_weights(dataset: Dataset, split: Split, config: Config) -> Tensor | None:
    """By what a row of each class counts, so that all classes count alike; None where each row counts alike."""
    if config.class_weight == "none":
        return None
    counts = torch.bincount(torch.from_numpy(dataset.targets[split.train]), minlength=len(dataset.labels)).float()
    return counts.mean() / counts


@torch.no_grad()
def _silence(first: nn.Linear, prepared: Tensor) -> None:
    """Begin at 0 with the weights of what is 0 in every training row, and so teaches them nothing: a category or a
    missing value that comes to be for the first time then says nothing, instead of something random."""
    first.weight[:, (prepared == 0).all(dim=0)] = 0


def _objective(dataset: Dataset, config: Config) -> losses.Objective:
    """Loss and validation measures for the target. Raises `OptionError` if an option does not fit the target."""
    if dataset.classifies:
        if config.loss not in {"auto", *losses.LOSSES["classes"]}:
            raise OptionError(f"--loss is {config.loss!r}, which is for numbers, and {dataset.name} has classes")
        return losses.classification("log_loss" if config.loss == "auto" else config.loss, config.label_smoothing)
    for name, fits in (
        ("loss", config.loss in {"auto", *losses.LOSSES["numbers"]}),
        ("class_weight", config.class_weight == "none"),
    ):
        if not fits:
            raise OptionError(
                f"{flag_of(name)} is {getattr(config, name)!r}, which is for classes, and {dataset.name} has numbers "
                "to predict"
            )
    return losses.regression("squared_error" if config.loss == "auto" else config.loss)


def _standardise_targets(network: Network, targets: NDArray[np.float64]) -> None:
    """Give answers in float64 where float32 could not hold them apart."""
    start = targets.min(axis=0)  # far from zero sums are rounded; those of distances from the least value are not
    mean, deviation = start + (targets - start).mean(axis=0), (targets - start).std(axis=0)
    dtype = torch.float64 if any(map(precision.float32_blurs, targets.T)) else torch.float32
    network.output_scale = torch.tensor(np.where(deviation > 0, deviation, 1.0), dtype=dtype)
    network.output_offset = torch.tensor(mean, dtype=dtype)


def _check(dataset: Dataset, config: Config) -> None:
    """Raises `OptionError` where what was chosen is for images and there are none."""
    for name in () if dataset.images else ("flip", "shift_pixels", "erase_pixels", "local_pixels", "teacher_epochs"):
        if getattr(config, name):
            raise OptionError(f"{flag_of(name)} is for images, and {dataset.name} has none")


def _augment(dataset: Dataset, config: Config, preparation: preprocess.Prepare) -> Augment | None:
    if not (config.flip or config.shift_pixels or config.erase_pixels or config.teacher_epochs):
        return None
    height, width = dataset.shape
    return Augment(
        height,
        width,
        black=float(-preparation.offset[0] * preparation.scale[0]),
        ways=ways(flip=config.flip, shift_pixels=config.shift_pixels),
        erase_pixels=config.erase_pixels,
    )
