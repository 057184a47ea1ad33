"""Reference statistics for the manifest: distributions of the training rows and of predictions for the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.reference import BIN_ROWS, MAX_BINS, MAX_FEATURES, PIXELS, Distribution, Reference
from training.data.dataset import Column, Dataset

_STEP_ROWS: Final = 1000


def reference(
    dataset: Dataset,
    train: NDArray[np.int64],
    predictions: NDArray[Any],
    by_influence: Sequence[int],
) -> Reference:
    """Count the rows ``train`` of ``dataset``, and ``predictions`` for the test rows.

    ``predictions`` are int64 (rows,), indices of the labels, or values (rows, targets). ``by_influence`` gives the
    columns, those that move the outputs most first, and may be empty for images, whose pixels are one feature together.
    """
    features = [_pixels(dataset.inputs, train)] if dataset.images else _columns(dataset, train, by_influence)
    return Reference(len(train), tuple(features), len(predictions), tuple(_predictions(dataset, predictions)))


def histogram(name: str, values: NDArray[Any], rows: int) -> Distribution:
    """Bins of about as many ``values`` (n,) each, from the numbers of so many ``rows``; NaN counts as missing.

    Values that are equal share a bin. Up to `MAX_BINS` different values have a bin each.
    """
    known = values[~np.isnan(values)]
    distinct, counts = np.unique(known, return_counts=True)
    return _binned(name, distinct.astype(np.float64), counts, rows, missing=len(values) - len(known))


def _columns(dataset: Dataset, train: NDArray[np.int64], by_influence: Sequence[int]) -> list[Distribution]:
    """The columns that have a value in the rows ``train``, `MAX_FEATURES` at most."""
    found: list[Distribution] = []
    for index in by_influence:
        values = dataset.inputs[train, index]
        if not np.isnan(values).all():
            found.append(_column(dataset.columns[index], values))
        if len(found) == MAX_FEATURES:
            break
    return found


def _column(column: Column, values: NDArray[Any]) -> Distribution:
    codes = 2 if column.type == "boolean" else column.codes
    return _coded(column.name, values, codes) if codes else histogram(column.name, values, len(values))


def _coded(name: str, values: NDArray[Any], codes: int) -> Distribution:
    known = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(known, minlength=codes)
    return Distribution(name, tuple(counts.tolist()), missing=len(values) - len(known))


def _pixels(images: NDArray[np.uint8], train: NDArray[np.int64]) -> Distribution:
    counts = np.zeros(256, np.int64)
    for first in range(0, len(train), _STEP_ROWS):
        counts += np.bincount(images[train[first : first + _STEP_ROWS]].reshape(-1), minlength=256)
    distinct = np.flatnonzero(counts)
    return _binned(PIXELS, distinct.astype(np.float64), counts[distinct], len(train), missing=0)


def _predictions(dataset: Dataset, predictions: NDArray[Any]) -> list[Distribution]:
    if dataset.classifies:
        return [_coded(dataset.target_names[0], predictions, len(dataset.labels))]
    targets = zip(dataset.target_names, predictions.T, strict=True)
    return [histogram(name, values, len(predictions)) for name, values in targets]


def _binned(
    name: str, distinct: NDArray[np.float64], counts: NDArray[np.int64], rows: int, *, missing: int
) -> Distribution:
    edges = _edges(distinct, counts, min(max(rows // BIN_ROWS, 2), MAX_BINS))
    bins = np.bincount(np.searchsorted(edges, distinct, side="right"), counts, minlength=len(edges) + 1)
    return Distribution(name, tuple(map(int, bins.tolist())), tuple(edges), missing)


def _edges(distinct: NDArray[np.float64], counts: NDArray[np.int64], bins: int) -> Sequence[float]:
    """Edges between ``distinct`` ascending values, for ``bins`` bins at most."""
    if len(distinct) == 1:  # a bin for this value, and one on each side of it
        return [float(distinct[0]), float(np.nextafter(distinct[0], np.inf))]
    last = np.arange(len(distinct) - 1)  # the largest value of each bin but the last
    if len(distinct) > bins:
        total = np.cumsum(counts)
        quantiles = np.searchsorted(total, total[-1] * np.arange(1, bins) / bins)
        last = np.unique(np.minimum(quantiles, len(distinct) - 2))
    low, high = distinct[last], distinct[last + 1]
    middle = low / 2 + high / 2
    edges: list[float] = np.where(middle > low, middle, high).tolist()
    return edges
