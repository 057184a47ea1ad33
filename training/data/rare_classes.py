"""Leave out the rows of classes that are too rare to be in each part."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import TEST, VALIDATION, Dataset, join_names

_MAX_LISTED: Final = 10


def min_rows(dataset: Dataset) -> int:
    """Return how many rows of a class are needed beside the given parts: one to train, and one for each drawn part."""
    return 1 + sum(not len(dataset.division.rows_of(part)) for part in (VALIDATION, TEST))


def rows_of(dataset: Dataset) -> NDArray[np.int64]:
    """Return how many rows of each class, (classes,), no part is given for."""
    return np.bincount(dataset.targets[dataset.division.rest(len(dataset.targets))], minlength=len(dataset.labels))


def left_out(dataset: Dataset) -> Dataset:
    """Return ``dataset`` without the classes that have fewer than `min_rows`, and with a note on them.

    It stays as it is if fewer than two classes would be left, or if its rows are not drawn at random.
    """
    division = dataset.division
    if not dataset.classifies or division.groups is not None or division.times is not None:
        return dataset
    rows, needed = rows_of(dataset), min_rows(dataset)
    rare = (rows > 0) & (rows < needed)
    if not rare.any() or (~rare).sum() < 2:
        return dataset
    kept = ~rare[dataset.targets]
    named = [f"{dataset.labels[label]!r} {rows[label]}" for label in np.flatnonzero(rare).tolist()]
    note = (
        f"left out, as a class needs {needed} rows for the parts: {join_names(named, _MAX_LISTED)}; add rows of "
        f"{'it' if len(named) == 1 else 'them'} to predict {'it' if len(named) == 1 else 'them'}"
    )
    return replace(
        dataset,
        inputs=dataset.inputs[kept],
        targets=(np.cumsum(~rare) - 1)[dataset.targets[kept]],
        labels=tuple(label for label, is_rare in zip(dataset.labels, rare, strict=True) if not is_rare),
        division=replace(division, parts=None if division.parts is None else division.parts[kept]),
        weights=None if dataset.weights is None else dataset.weights[kept],
        notes=(*dataset.notes, note),
    )
