"""Find features that tell the target too well, as a copy of it does, or a value that is known only afterwards."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset

_MIN_ROWS: Final = 50  # in fewer, a feature may separate the classes by chance
_MAX_ROWS: Final = 20_000
_EXPLAINED: Final = 0.999  # of the target's variance
_CONFUSED: Final = 0.002  # times as many neighbours of two classes as in random order
_ROWS_PER_CATEGORY: Final = 5


def with_notes(dataset: Dataset, train: NDArray[np.int64]) -> Dataset:
    """Return ``dataset`` with a note on the features that alone tell the target in the rows ``train``.

    Up to `_MAX_ROWS` of them are looked at. A feature is reported if it orders the rows so that nearly all neighbours
    have one label, or if it explains 99.9 % of a numeric target's variance, by a line, by rank, or by category. Images
    are not looked at.
    """
    if dataset.images or len(train) < _MIN_ROWS:
        return dataset
    rows = np.random.default_rng(0).permutation(train)[:_MAX_ROWS]
    targets = dataset.targets[rows]
    found = [
        column.name
        for index, column in enumerate(dataset.columns)
        if _tells(column, dataset.inputs[rows, index].astype(np.float64), targets, classifies=dataset.classifies)
    ]
    if not found:
        return dataset
    what, it = ("it is", "it") if len(found) == 1 else ("they are", "them")
    note = (
        f"{', '.join(map(repr, found))} alone tell{'s' * (len(found) == 1)} {' and '.join(dataset.target_names)} "
        f"almost without error; if {what} not known when a prediction is made, leave {it} out with --drop "
        f"{shlex.join(found)}"
    )
    return replace(dataset, notes=(*dataset.notes, note))


def _tells(column: Column, values: NDArray[np.float64], targets: NDArray[Any], *, classifies: bool) -> bool:
    known = ~np.isnan(values)
    if known.sum() < max(_MIN_ROWS, len(values) // 2) or (values[known] == values[known][0]).all():
        return False
    values, targets = values[known], targets[known]
    if classifies:
        return _separates(values, targets)
    return any(_explains(column, values, targets[:, index]) for index in range(targets.shape[1]))


def _separates(values: NDArray[np.float64], labels: NDArray[np.int64]) -> bool:
    """Return whether rows that are neighbours in the order of ``values`` have one label, but for the borders."""
    ordered = labels[np.argsort(values, kind="stable")]
    counts = np.bincount(labels)
    by_chance = len(labels) * (1 - float(((counts / len(labels)) ** 2).sum()))
    borders = int((counts > 0).sum()) - 1
    changes = int((ordered[1:] != ordered[:-1]).sum())
    return borders > 0 and changes - borders <= _CONFUSED * by_chance


def _explains(column: Column, values: NDArray[np.float64], target: NDArray[np.float64]) -> bool:
    if not target.std():
        return False
    if column.type == "categorical":
        codes = values.astype(np.int64)
        counts = np.bincount(codes)
        if (counts > 0).sum() * _ROWS_PER_CATEGORY > len(codes):
            return False
        means = np.bincount(codes, target) / np.maximum(counts, 1)
        return bool(((target - means[codes]) ** 2).mean() <= (1 - _EXPLAINED) * target.var())
    by_line = np.corrcoef(values, target)[0, 1] ** 2
    by_rank = np.corrcoef(_ranks(values), _ranks(target))[0, 1] ** 2
    return bool(max(by_line, by_rank) >= _EXPLAINED)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean rank of each value among equal ones."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks
