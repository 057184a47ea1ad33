"""Categories the training rows know well enough keep a code of their own; all rarer ones share one, as unknown ones do.

The choice sees no row but those trained on, so that a test row with a rare text is as new to the network as a client's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset

MOST: Final = 100  # a code of its own costs each row an input, and each hidden unit a weight
_ENOUGH_ROWS: Final = 10  # of so many rows the mean is known to a third of their spread


def fewest_rows(rows: int) -> int:
    """How many of ``rows`` a category needs: `_ENOUGH_ROWS`; where rows are few 1 % of them, but never one alone."""
    return min(_ENOUGH_ROWS, max(2, rows // 100))


def common(dataset: Dataset, train: NDArray[np.int64]) -> Dataset:
    """``dataset`` with the categories that are common in the rows ``train``, and ``other`` where there are more."""
    found, inputs = list(dataset.columns), dataset.inputs
    for place, column in enumerate(dataset.columns):
        if column.kind != "categorical":
            continue
        if inputs is dataset.inputs:
            inputs = inputs.copy()
        found[place], inputs[:, place] = _common(column, dataset.inputs[:, place], train)
    return replace(dataset, columns=tuple(found), inputs=inputs)


def _common(column: Column, codes: NDArray[np.float32], train: NDArray[np.int64]) -> tuple[Column, NDArray[np.float32]]:
    missing = np.isnan(codes)
    places = np.where(missing, 0, codes).astype(np.int64)
    trained = places[train][~missing[train]]
    counts = np.bincount(trained, minlength=len(column.categories))
    order = np.argsort(-counts, kind="stable")[:MOST]
    kept = np.sort(order[counts[order] >= fewest_rows(len(train))])
    if not len(kept):
        kept = order[:1]
    recoded = np.full(len(column.categories), len(kept), np.float32)
    recoded[kept] = np.arange(len(kept))
    known = tuple(column.categories[index] for index in kept.tolist())
    other = len(known) < len(column.categories)
    return replace(column, categories=known, other=other), np.where(missing, codes, recoded[places])
