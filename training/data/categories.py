"""Group rare categories: each common category keeps a code, all others share the code `other`.

Only training rows are counted, so a rare category in the test rows is as new to the network as a client's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset

_ENOUGH_ROWS: Final = 10  # their mean is within a third of their standard deviation


def min_rows(rows: int) -> int:
    """Return how many of ``rows`` a category needs to be common: 1 %, but at least 2 and at most `_ENOUGH_ROWS`."""
    return min(_ENOUGH_ROWS, max(2, rows // 100))


def group_rare(dataset: Dataset, train: NDArray[np.int64]) -> Dataset:
    """Return ``dataset`` with the categories that are common in the rows ``train``; the others become ``other``."""
    columns, inputs = list(dataset.columns), dataset.inputs
    for index, column in enumerate(dataset.columns):
        if column.type != "categorical":
            continue
        columns[index], codes = _group_rare(column, dataset.inputs[:, index], train)
        if len(columns[index].categories) == len(column.categories):
            continue  # the codes are the same
        if inputs is dataset.inputs:
            inputs = inputs.copy()
        inputs[:, index] = codes
    return replace(dataset, columns=tuple(columns), inputs=inputs)


def _group_rare(
    column: Column, values: NDArray[np.float32], train: NDArray[np.int64]
) -> tuple[Column, NDArray[np.float32]]:
    missing = np.isnan(values)
    codes = np.where(missing, 0, values).astype(np.int64)
    counts = np.bincount(codes[train][~missing[train]], minlength=len(column.categories))
    common = np.flatnonzero(counts >= min_rows(len(train)))
    if not len(common):
        common = np.array([counts.argmax()])
    new_codes = np.full(len(column.categories), len(common), np.float32)
    new_codes[common] = np.arange(len(common))
    names = tuple(column.categories[code] for code in common.tolist())
    other = len(names) < len(column.categories)
    return replace(column, categories=names, other=other), np.where(missing, values, new_codes[codes])
