"""Split rows at random, stratified by class, for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.config import Config
from training.data.dataset import Dataset
from training.errors import DataError

_USES: Final = ("to train", "to validate", "to test")
_MIN_TARGETS: Final = 2  # of a regression in each part: R² needs two


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint row indices (rows,) int64, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split(dataset: Dataset, config: Config) -> Split:
    """Split by ``config.seed``; the test rows are the publisher's if there are any.

    Each part has its share of each class, rounded, and at least one row: scikit-learn's stratified split can leave a
    rare class out of a small part. Raises `DataError` if there are too few rows.
    """
    random = np.random.default_rng(config.seed)
    rows = np.arange(len(dataset.inputs))
    if dataset.test_rows:
        rest, test = rows[: -dataset.test_rows], rows[-dataset.test_rows :]
        _check(dataset, rest, _USES[:2])
    else:
        _check(dataset, rows, _USES)
        rest, test = _take_fraction(dataset, rows, config.test_fraction, random, parts_left=2)
    train, validation = _take_fraction(dataset, rest, config.validation_fraction, random, parts_left=1)
    return Split(train, validation, test)


def _take_fraction(
    dataset: Dataset, rows: NDArray[np.int64], fraction: float, random: np.random.Generator, *, parts_left: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rest and a ``fraction`` of ``rows``; the rest is enough for ``parts_left`` parts."""
    minimum = 1 if dataset.classifies else _MIN_TARGETS
    rest, taken = [], []
    for members in _groups(dataset, rows):
        size = min(max(round(len(members) * fraction), minimum), len(members) - parts_left * minimum)
        shuffled = random.permutation(members)
        taken.append(shuffled[:size])
        rest.append(shuffled[size:])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(taken))


def _groups(dataset: Dataset, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the ``rows`` of each class; for a regression, all rows as one group."""
    if not dataset.classifies:
        return [rows]
    targets = dataset.targets[rows]
    return [rows[targets == label] for label in range(len(dataset.labels))]


def _check(dataset: Dataset, rows: NDArray[np.int64], uses: tuple[str, ...]) -> None:
    if dataset.classifies and len(dataset.labels) < 2:
        raise DataError(f"{dataset.name} has only the class {dataset.labels[0]!r}, expected at least two")
    purpose = f"{', '.join(uses[:-1])} and {uses[-1]}"
    minimum = len(uses) * _MIN_TARGETS
    if not dataset.classifies and len(rows) < minimum:
        raise DataError(f"{dataset.name} needs at least {minimum} rows {purpose}, but has {len(rows)}; add more rows")
    for label, members in zip(dataset.labels, _groups(dataset, rows), strict=False):
        if len(members) < len(uses):
            raise DataError(
                f"{dataset.name} needs at least {len(uses)} rows of class {label!r} {purpose}, but has {len(members)}; "
                "add more rows or drop the class"
            )
