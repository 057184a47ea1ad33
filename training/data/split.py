"""Split the rows for training, validation and test: the parts that are given, and those that are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.config import Config
from training.data import draw, rare_classes
from training.data.dataset import HELD_OUT, REST, TEST, VALIDATION, Dataset, join_names
from training.errors import DataError

_USES: Final = {"validation": "to validate", "test": "to test"}
_MAX_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint row indices (rows,) int64, ascending. ``how`` says where validation and test rows come from.

    Of a streamed table, ``train`` is a sample, and ``streamed_rows`` are all training rows in its files.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    how: Mapping[str, str] = field(default_factory=dict)
    streamed_rows: int | None = None

    @property
    def train_rows(self) -> int:
        """How many rows a network is trained on."""
        return len(self.train) if self.streamed_rows is None else self.streamed_rows


def split(dataset: Dataset, config: Config) -> Split:
    """Split the rows of ``dataset`` as its division says; what is drawn at random depends on ``config.seed`` alone.

    Raises `DataError` if there are too few rows, or a class has none to train on.
    """
    random = np.random.default_rng(config.seed)
    division = dataset.division
    rest = np.arange(len(dataset.inputs)) if division.parts is None else division.rows_of(REST)
    parts = {name: division.rows_of(code) for name, code in HELD_OUT.items()}
    drawn = [name for name, rows in parts.items() if not len(rows)]
    _check_classes(dataset, rest)
    _check_enough(dataset, rest, drawn)
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    for left, name in reversed([*enumerate(drawn, 1)]):
        rest, parts[name] = _drawing(dataset)(dataset, rest, fractions[name], random, parts_left=left)
    found = Split(rest, parts["validation"], parts["test"], _how(dataset, drawn))
    _check_parts(dataset, found)
    return found


def streamed(dataset: Dataset) -> Split:
    """The rows that a streamed ``dataset`` has in memory, by the parts that its division gives."""
    assert dataset.streamed is not None  # noqa: S101 - the caller knows
    rows = dataset.division.rows_of
    return Split(rows(REST), rows(VALIDATION), rows(TEST), dict(dataset.division.given), dataset.streamed.rows)


def _drawing(dataset: Dataset) -> draw.Draw:
    if dataset.division.groups is not None:
        return draw.by_group
    return draw.at_random if dataset.division.times is None else draw.latest


def _how(dataset: Dataset, drawn: list[str]) -> dict[str, str]:
    """Where the validation and test rows come from, in words."""
    division = dataset.division
    stratified = ", stratified by class" if dataset.classifies else ""
    ways = dict.fromkeys(drawn, f"drawn at random{stratified}")
    if division.groups is not None:
        as_far = f"{stratified} as far as possible" if stratified else ""
        ways = dict.fromkeys(drawn, f"whole groups of {division.column!r}, drawn at random{as_far}")
    if division.times is not None:
        ways = dict.fromkeys(drawn, f"the latest rows by {division.column!r}")
        if len(drawn) == len(HELD_OUT):
            ways["validation"] = f"the rows before the test rows by {division.column!r}"
    return {name: division.given.get(name) or ways[name] for name in HELD_OUT}


def _check_classes(dataset: Dataset, rest: NDArray[np.int64]) -> None:
    if not dataset.classifies:
        return
    if len(dataset.labels) < 2:
        raise DataError(f"{dataset.name} has only the class {dataset.labels[0]!r}, expected at least two")
    _check_trained(dataset, rest, "in its given validation and test rows; move some of them to the training rows")


def _check_trained(dataset: Dataset, train: NDArray[np.int64], where: str) -> None:
    """Raise `DataError` unless each class has rows in ``train``."""
    counts = np.bincount(dataset.targets[train], minlength=len(dataset.labels))
    absent = [repr(label) for label, count in zip(dataset.labels, counts, strict=True) if not count]
    if absent:
        plural = "es" if len(absent) > 1 else ""
        raise DataError(f"{dataset.name} has the class{plural} {', '.join(absent)} only {where}")


def _check_enough(dataset: Dataset, rest: NDArray[np.int64], drawn: list[str]) -> None:
    """Raise `DataError` if ``rest`` has too few rows to train, and for the parts to be ``drawn``."""
    uses = ["to train", *(_USES[name] for name in drawn)]
    purpose = " and ".join(filter(None, (", ".join(uses[:-1]), uses[-1])))
    division, count = dataset.division, len(uses)
    values = division.groups if division.times is None else division.times
    if values is not None:
        different = len(np.unique(values[rest]))
        if different < count:
            raise DataError(
                f"{dataset.name} needs at least {count} different values in {division.column!r} {purpose}, but has "
                f"{different}; divide its rows by another column, or give the parts with --split"
            )
        return
    minimum = count * draw.MIN_TARGETS
    if not dataset.classifies and len(rest) < minimum:
        raise DataError(f"{dataset.name} needs at least {minimum} rows {purpose}, but has {len(rest)}; add more rows")
    if dataset.classifies:
        rows = zip(dataset.labels, rare_classes.rows_of(dataset).tolist(), strict=True)
        if rare := [f"{has} of class {label!r}" for label, has in rows if has < count]:
            raise DataError(
                f"{dataset.name} needs at least {count} rows of each class {purpose}, but has "
                f"{join_names(rare, _MAX_LISTED)}; add more rows or leave these out"
            )


def _check_parts(dataset: Dataset, found: Split) -> None:
    """Raise `DataError` if a part is of no use."""
    parts = {"training": found.train, "validation": found.validation, "test": found.test}
    if dataset.classifies:
        column = dataset.division.column
        where = f"in its validation and test rows, divided by {column!r}; divide its rows by another column"
        _check_trained(dataset, found.train, where)
    else:
        for name, rows in parts.items():
            if len(rows) < draw.MIN_TARGETS:
                raise DataError(
                    f"{dataset.name} has 1 {name} row, expected at least {draw.MIN_TARGETS} to predict numbers; add "
                    "more rows"
                )
    for name, rows in parts.items():
        weights = dataset.weights_of(rows)
        if weights is not None and not weights.any():
            raise DataError(f"the weights of the {len(rows):,} {name} rows are all 0; give some of them a weight")
