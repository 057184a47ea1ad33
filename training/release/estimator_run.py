"""A `TrainingRun` from a fitted estimator, and the data set of the rows that it was trained and tested on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells
from training.data.dataset import Column, Dataset, Label
from training.data.split import Split
from training.data.tables.rows import DEFAULT_CELLS
from training.engine.trainer import Epoch
from training.errors import ParityError
from training.model.network import Network
from training.recipe.train import outputs_of
from training.release import onnx_export
from training.release.training_run import TrainingRun

SCALE: Final = "scale features and targets before fit, such as with StandardScaler"
_TOLERANCE: Final = 0.01  # of a probability, or of a target's range

Rows = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted estimator: its ``network`` with float32 layers, and how it was trained.

    ``labels`` are the classes in their own type, empty for regression. ``seed`` is None for an unseeded run.
    ``predictions`` are the estimator's own for the test rows: probabilities (rows, classes) or values (rows, targets).
    The other fields are those of `TrainingRun`.
    """

    network: Network
    output_activation: str
    columns: Sequence[Column]
    labels: tuple[Label, ...]
    hidden: Sequence[int]
    activation: str
    seed: int | None
    config: Mapping[str, Any]
    history: Sequence[Epoch]
    best_epoch: Epoch
    predictions: NDArray[Any]


def training_run(fitted: Fitted, name: str, train: Rows, test: Rows) -> TrainingRun:
    """The run of model ``name``.

    ``train`` and ``test`` are inputs (rows, features) and targets as in a `Dataset`: int64 (rows,) indices of
    ``fitted.labels``, or float64 (rows, targets). Raises `ParityError` if the network in float32 does not predict what
    the estimator predicts.
    """
    _check_float32(fitted, test[0])
    inputs, targets = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    cells = DEFAULT_CELLS if any(column.codes for column in fitted.columns) else None
    count = len(train[0])
    rows = np.arange(len(inputs))
    return TrainingRun(
        name=name,
        command=f"publish() in Python {platform.python_version()}",
        dataset=dataset_of(name, inputs, targets, fitted.labels, fitted.columns, cells=cells),
        split=Split(train=rows[:count], validation=rows[:0], test=rows[count:]),
        network=fitted.network,
        hidden=fitted.hidden,
        activation=fitted.activation,
        output_activation=fitted.output_activation,
        config=fitted.config,
        seed=fitted.seed,
        device="cpu",
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        fit_s=sum(epoch.duration_s for epoch in fitted.history),
    )


def _check_float32(fitted: Fitted, inputs: NDArray[Any]) -> None:
    found = onnx_export.outputs_of(outputs_of(fitted.network, inputs), fitted.output_activation)[0]
    difference = np.abs(found.astype(np.float64) - fitted.predictions)
    unit = np.ones(1)
    if not fitted.labels:
        unit = np.ptp(fitted.predictions, axis=0)
        unit = np.where(unit > 0, unit, np.abs(fitted.predictions).max(axis=0))  # of a single row, or of one value
    if not (difference <= _TOLERANCE * unit).all():  # NaN compares false
        raise ParityError(
            f"in float32, as it would be served, the network's predictions differ by up to {difference.max():.2g} from "
            f"the estimator's; {SCALE}; nothing is published"
        )


def dataset_of(
    name: str,
    inputs: NDArray[Any],
    targets: NDArray[Any],
    labels: tuple[Label, ...],
    columns: Sequence[Column],
    weights: NDArray[np.float64] | None = None,
    *,
    cells: Cells | None = DEFAULT_CELLS,
) -> Dataset:
    """A data set of encoded rows; ``weights`` (rows,) are None if equal, ``cells`` the rules for reading strings."""
    numbers = 1 if targets.ndim == 1 else targets.shape[1]
    digest = hashlib.sha256(np.ascontiguousarray(inputs).data)
    digest.update(np.ascontiguousarray(targets).data)
    return Dataset(
        name=name,
        inputs=inputs,
        targets=targets,
        labels=labels,
        columns=tuple(columns),
        target_names=("target",) if numbers == 1 else tuple(f"target_{index}" for index in range(numbers)),
        shape=(len(columns),),
        weights=weights,
        source={"name": name, "from": "rows given to publish()", "sha256": digest.hexdigest()},
        cells=cells,
    )
