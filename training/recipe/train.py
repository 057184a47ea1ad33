"""Train and calibrate a network for a data set: preprocess, fit, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from training.engine import arithmetic, losses, trainer
from training.engine.arithmetic import Arithmetic
from training.engine.augment import Augment, transforms
from training.engine.trainer import Epoch
from training.engine.workers import ALONE, Workers
from training.errors import OptionError
from training.model import calibration, features, preprocess, whitening
from training.model.ensemble import MeanProbabilities
from training.model.features import Features
from training.model.network import Network, ensemble, init_local, perceptron
from training.recipe import distillation, rows, sizing
from training.recipe.rows import BATCH_ROWS

_WHITENING_ROWS: Final = 50_000  # of a table, whose expanded rows are large
_CALIBRATION_VALUES: Final = 2**25  # thousands of classes need few rows for one number
_IMAGE_OPTIONS: Final = ("flip", "shift_pixels", "erase_pixels", "local_pixels", "teacher_epochs")
_TABLE_OPTIONS: Final = ("numeric_bins",)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained ``network`` and how it got there.

    ``teacher_history`` is empty if there was no teacher. ``temperature`` is the calibration in the network, None for a
    regression. ``arithmetic`` is that of the network, not of its teacher.
    """

    network: Network
    history: list[Epoch]
    teacher_history: list[Epoch]
    temperature: float | None
    arithmetic: Arithmetic


def train_network(
    dataset: Dataset,
    split: Split,
    config: Config,
    device: torch.device,
    on_epoch: Callable[[Epoch], bool | None],
    on_teacher_epoch: Callable[[Epoch], None] = lambda _: None,
    on_step: Callable[[], None] = lambda: None,
    workers: Workers = ALONE,
) -> TrainResult:
    """Train on the training rows and calibrate on the validation rows; the test rows are not used.

    Training stops when ``on_epoch`` returns True. ``on_step`` is called before each step, and may end training by
    raising. The global random state stays as it was. Several ``workers`` have the same data set and train together.
    Raises `Diverged`, and `OptionError` if an option does not fit the data set.
    """
    config = sizing.resolved(config, split.train_rows)
    _check_kind_options(dataset, config)
    objective = _objective(dataset, config)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = _build(dataset, split, config)
        body = network.body.to(device)  # the rest may be float64, which not every device supports
        class_weights = rows.weights_of_classes(dataset, split, config)
        train = rows.of_part(network, dataset, split.train, class_weights, device)
        validation = rows.of_part(network, dataset, split.validation, class_weights, device)
        _prepare_first_layers(body, cast("Tensor", train.inputs), config)
        augment = _augment(dataset, config, network.preprocess)
        teacher_history: list[Epoch] = []
        if config.teacher_epochs:
            assert augment is not None  # noqa: S101 - _augment returns one if there is a teacher
            soft = distillation.soft_targets(
                train, validation, len(dataset.labels), config, augment, on_teacher_epoch, on_step
            )
            teacher_history = soft.history
            train, objective = train._replace(targets=soft.targets), losses.distillation()
        batches = rows.batches_of(network, dataset, train, class_weights, config, workers)
        kind = arithmetic.of_run(body, validation.inputs, config, workers)
        history = trainer.fit(
            body,
            batches,
            validation,
            objective,
            config,
            augment=augment,
            on_epoch=on_epoch,
            on_step=on_step,
            half=kind.half,
            workers=workers,
        )
    network.cpu().eval()
    temperature = _calibrate(network, dataset, split, config, class_weights) if dataset.classifies else None
    return TrainResult(network, history, teacher_history, temperature, kind)


@torch.no_grad()
def outputs_of(network: Network, inputs: NDArray[Any]) -> NDArray[Any]:
    """The outputs (rows, outputs) of ``network`` for raw ``inputs`` (rows, features)."""
    return _in_batches(network, inputs, network.preprocess.input_dtype)


def _in_batches(network: nn.Module, inputs: NDArray[Any], dtype: torch.dtype) -> NDArray[Any]:
    """The outputs ([members,] rows, outputs) of ``network`` for ``inputs`` (rows, features), converted to ``dtype``."""
    parts = [
        network(torch.from_numpy(inputs[first : first + BATCH_ROWS]).to(dtype))
        for first in range(0, len(inputs), BATCH_ROWS)
    ]
    values: NDArray[Any] = torch.cat(parts, dim=-2).numpy()
    return values


def _build(dataset: Dataset, split: Split, config: Config) -> Network:
    """An untrained network with fitted preprocessing, and for a regression with output scale and offset."""
    first: Features | None = None
    if dataset.images:
        preparation = preprocess.fitted(dataset.columns, dataset.inputs[split.train], together=True)
    else:
        preparation, first = features.fitted(
            dataset.columns, dataset.inputs, split.train, config.numeric_bins, short_scales=config.members > 1
        )
    outputs = len(dataset.labels) or dataset.targets.shape[1]
    width = first.width if first else preparation.width
    sizes = (width, config.hidden, outputs, config.activation, config.dropout)
    body = (
        perceptron(*sizes, batch_norm=config.batch_norm)
        if config.members == 1
        else ensemble(config.members, *sizes, classifies=dataset.classifies)
    )
    if config.local_pixels:
        height, width = dataset.shape
        init_local(cast("nn.Linear", body[0]), height, width, config.local_pixels)
    if first:
        body.insert(0, first)
    network = Network(preparation, body, outputs)
    if not dataset.classifies:
        _standardise_targets(network, dataset.targets[split.train])
    return network


@torch.no_grad()
def _calibrate(network: Network, dataset: Dataset, split: Split, config: Config, class_weights: Tensor | None) -> float:
    """Set the temperature that suits the validation rows, and return it."""
    preparation, mean = network.preprocess, network.body[-1]
    logits_of = network.body[:-1] if isinstance(mean, MeanProbabilities) else network.body
    chosen = _calibration_rows(split.validation, len(dataset.labels) * config.members)
    inputs = dataset.inputs[chosen]
    logits = _in_batches(nn.Sequential(preparation, logits_of), inputs, preparation.input_dtype)
    labels = dataset.targets[chosen]
    weights = rows.weights_of(dataset, chosen, class_weights)
    temperature = calibration.temperature(logits, labels, None if weights is None else weights.numpy())
    scale = mean.inverse_temperature if isinstance(mean, MeanProbabilities) else network.output_scale
    scale.fill_(1 / temperature)
    return temperature


def _calibration_rows(validation: NDArray[np.int64], outputs: int) -> NDArray[np.int64]:
    """The ``validation`` rows, or as many of them, drawn at random, as give `_CALIBRATION_VALUES` logits."""
    most = max(1, _CALIBRATION_VALUES // outputs)
    return validation if len(validation) <= most else np.random.default_rng(0).choice(validation, most, replace=False)


@torch.no_grad()
def _prepare_first_layers(body: nn.Sequential, inputs: Tensor, config: Config) -> None:
    """Adapt ``body`` to preprocessed training ``inputs`` (rows, width): unused inputs, and whitening if asked for."""
    first = body[0] if isinstance(body[0], Features) else None
    if first is not None and first.embeddings is not None:
        first.embeddings.zero_unseen(first.codes(inputs))
    linear = next(layer for layer in body if isinstance(layer, nn.Linear))
    _zero_unused_inputs(linear, (first(part) if first else part for part in torch.split(inputs, BATCH_ROWS)))
    if config.whiten:
        seen = inputs if first is None else first(inputs[torch.randperm(len(inputs))[:_WHITENING_ROWS]])
        body.insert(0 if first is None else 1, whitening.fitted(seen, config.whiten))


def _zero_unused_inputs(first: nn.Linear, parts: Iterable[Tensor]) -> None:
    """Zero first-layer weights of inputs that are 0 in all training rows, so unseen categories contribute nothing."""
    used = torch.zeros(first.in_features, dtype=torch.bool, device=first.weight.device)
    for part in parts:
        used |= (part != 0).any(dim=0)
    first.weight[:, ~used] = 0


def _objective(dataset: Dataset, config: Config) -> losses.Objective:
    """Loss and validation measures for the target. Raises `OptionError` if an option does not fit the target."""
    if dataset.classifies:
        if config.loss not in {"auto", *losses.LOSSES["classes"]}:
            raise OptionError(
                f"--loss is {config.loss!r}, which is for numbers, but {dataset.name} has classes; leave it out"
            )
        return losses.classification("log_loss" if config.loss == "auto" else config.loss, config.label_smoothing)
    for name, fits in (
        ("loss", config.loss in {"auto", *losses.LOSSES["numbers"]}),
        ("class_weight", config.class_weight == "none"),
        ("label_smoothing", not config.label_smoothing),
    ):
        if not fits:
            raise OptionError(
                f"{flag_of(name)} is {getattr(config, name)!r}, which is for classes, but {dataset.name} has numbers "
                "to predict; leave it out"
            )
    return losses.regression("squared_error" if config.loss == "auto" else config.loss)


def _standardise_targets(network: Network, targets: NDArray[np.float64]) -> None:
    """Set output scale and offset from the training ``targets``, in float64 if float32 would lose differences."""
    start = targets.min(axis=0)  # sums of large numbers are rounded; sums of distances from the minimum are not
    mean, deviation = start + (targets - start).mean(axis=0), (targets - start).std(axis=0)
    dtype = torch.float64 if any(map(precision.needs_float64, targets.T)) else torch.float32
    network.output_scale = torch.tensor(np.where(deviation > 0, deviation, 1.0), dtype=dtype)
    network.output_offset = torch.tensor(mean, dtype=dtype)


def _check_kind_options(dataset: Dataset, config: Config) -> None:
    """Raise `OptionError` if an option for images is set for a table, or one for tables for images."""
    names, kind = (_TABLE_OPTIONS, "tables") if dataset.images else (_IMAGE_OPTIONS, "images")
    for name in names:
        if getattr(config, name):
            remedy = "images" if dataset.images else "none"
            raise OptionError(f"{flag_of(name)} is for {kind}, and {dataset.name} has {remedy}")


def _augment(dataset: Dataset, config: Config, preparation: preprocess.Preprocess) -> Augment | None:
    if not (config.flip or config.shift_pixels or config.erase_pixels or config.teacher_epochs):
        return None
    height, width = dataset.shape
    return Augment(
        height,
        width,
        black=float(-preparation.offset[0] * preparation.scale[0]),
        transforms=transforms(flip=config.flip, shift_pixels=config.shift_pixels),
        erase_pixels=config.erase_pixels,
    )
