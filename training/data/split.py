"""Rows to train on, rows to choose and calibrate by, rows for the card: by seed, each class in its share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from training.config import Config
from training.data.dataset import Dataset
from training.errors import DataError

_FEWEST_PER_CLASS = 3  # one for each part


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts of a data set as int64 row numbers, none in two of them."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(dataset: Dataset, config: Config) -> Split:
    """The test rows are the publisher's where there are such, else a part by ``config.seed`` as the others.

    Raises `DataError` where there is too little of a class for each part to have one of it.
    """
    rows = np.arange(len(dataset.inputs))
    _check(dataset, len(rows))
    if dataset.test_rows:
        rest, test = rows[: -dataset.test_rows], rows[-dataset.test_rows :]
    else:
        rest, test = _parted(dataset, rows, config.test_fraction, config.seed)
    train, validation = _parted(dataset, rest, config.validation_fraction, config.seed)
    return Split(train, validation, test)


def _parted(
    dataset: Dataset, rows: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    by = dataset.targets[rows] if dataset.classifies else None
    # A small share still has one row of each class, as scikit-learn asks.
    size = max(round(len(rows) * fraction), len(dataset.labels), 1)
    try:
        larger, smaller = train_test_split(rows, test_size=size, random_state=seed, stratify=by)
    except ValueError as error:
        raise DataError(f"{dataset.name}: the rows cannot be split ({error}); bring more rows") from error
    return np.sort(larger), np.sort(smaller)


def _check(dataset: Dataset, rows: int) -> None:
    if rows < 2 * _FEWEST_PER_CLASS:
        raise DataError(f"{dataset.name} has {rows} rows, expected {2 * _FEWEST_PER_CLASS} or more; bring more rows")
    if not dataset.classifies:
        return
    counts = np.bincount(dataset.targets, minlength=len(dataset.labels))
    if len(counts) < 2:
        raise DataError(f"{dataset.name} has one class alone, {dataset.labels[0]!r}; there is nothing to tell apart")
    rarest = int(counts.argmin())
    if counts[rarest] < _FEWEST_PER_CLASS:
        raise DataError(
            f"{dataset.name} has {counts[rarest]} rows of class {dataset.labels[rarest]!r}, and needs "
            f"{_FEWEST_PER_CLASS}: to train, to validate and to test; bring more rows, or drop the class"
        )
