"""Rows to train on, rows to choose and calibrate by, rows for the card: by seed, each class in its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.config import Config
from training.data.dataset import Dataset
from training.errors import DataError

_USES: Final = ("to train", "to validate", "to test")
_FEWEST_VALUES: Final = 2  # of a regression's targets in a part: of one alone no R² can be told


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts of a data set as int64 row numbers in ascending order, none in two of them."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(dataset: Dataset, config: Config) -> Split:
    """The test rows are the publisher's where there are such, else a part by ``config.seed`` as the others.

    Every part has of each class its share, give or take half a row, and one row at the least: scikit-learn's stratified
    split leaves a rare class out of the small parts. Raises `DataError` where there are too few rows for that.
    """
    random = np.random.default_rng(config.seed)
    rows = np.arange(len(dataset.inputs))
    if dataset.test_rows:
        rest, test = rows[: -dataset.test_rows], rows[-dataset.test_rows :]
        _check(dataset, rest, _USES[:2])
    else:
        _check(dataset, rows, _USES)
        rest, test = _parted(dataset, rows, config.test_fraction, random, parts_left=2)
    train, validation = _parted(dataset, rest, config.validation_fraction, random, parts_left=1)
    return Split(train, validation, test)


def _parted(
    dataset: Dataset, rows: NDArray[np.int64], fraction: float, random: np.random.Generator, *, parts_left: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``rows`` without a ``fraction`` of them, enough for ``parts_left``, and that fraction."""
    fewest = 1 if dataset.classifies else _FEWEST_VALUES
    larger, smaller = [], []
    for members in _groups(dataset, rows):
        size = min(max(round(len(members) * fraction), fewest), len(members) - parts_left * fewest)
        shuffled = random.permutation(members)
        smaller.append(shuffled[:size])
        larger.append(shuffled[size:])
    return np.sort(np.concatenate(larger)), np.sort(np.concatenate(smaller))


def _groups(dataset: Dataset, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The ``rows`` of each class, or all of them where there are none."""
    if not dataset.classifies:
        return [rows]
    targets = dataset.targets[rows]
    return [rows[targets == place] for place in range(len(dataset.labels))]


def _check(dataset: Dataset, rows: NDArray[np.int64], uses: tuple[str, ...]) -> None:
    if dataset.classifies and len(dataset.labels) < 2:
        raise DataError(f"{dataset.name} has one class alone, {dataset.labels[0]!r}; there is nothing to tell apart")
    needed = f"{', '.join(uses[:-1])} and {uses[-1]}"
    if not dataset.classifies and len(rows) < len(uses) * _FEWEST_VALUES:
        raise DataError(
            f"{dataset.name} needs {len(uses) * _FEWEST_VALUES} rows {needed}, and has {len(rows)}; bring more rows"
        )
    for label, members in zip(dataset.labels, _groups(dataset, rows), strict=False):
        if len(members) < len(uses):
            raise DataError(
                f"{dataset.name} needs {len(uses)} rows of class {label!r} {needed}, and has {len(members)}; "
                "bring more rows, or drop the class"
            )
