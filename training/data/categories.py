"""Group rare categories: each common category keeps a code, all others share the code `other`.

Only training rows are counted, so a rare category in the test rows is as new to the network as a client's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, join_names
from training.errors import DataError

_MAX_LISTED: Final = 3
_ENOUGH_ROWS: Final = 10  # their mean is within a third of their standard deviation


def min_rows(rows: int) -> int:
    """Return how many of ``rows`` a category needs to be common: 1 %, but at least 2 and at most `_ENOUGH_ROWS`."""
    return min(_ENOUGH_ROWS, max(2, rows // 100))


def group_rare(dataset: Dataset, train: NDArray[np.int64]) -> Dataset:
    """Return ``dataset`` with the categories that are common in the rows ``train``; the others become ``other``.

    A category that only rows of a given part have becomes ``other`` if other categories do, with a note. Raises
    `DataError` with all columns in which none does.
    """
    columns, inputs = list(dataset.columns), dataset.inputs
    rest = dataset.division.rest(len(inputs))
    notes, errors = [], dict[str, str]()
    for index, column in enumerate(dataset.columns):
        if column.type != "categorical":
            continue
        values = dataset.inputs[:, index]
        columns[index], codes = _group_rare(column, values, train, _known(column, values, rest))
        if len(columns[index].categories) == len(column.categories):
            continue  # the codes are the same
        if inputs is dataset.inputs:
            inputs = inputs.copy()
        inputs[:, index] = codes
        unseen = _unseen(column, values, rest)
        if unseen and columns[index].other:
            notes.append(f"column {column.name!r} has {unseen}; they count as other, like its rare categories")
        elif unseen:
            errors[column.name] = unseen
    if errors:
        raise DataError(_unseen_error(dataset.name, errors))
    return replace(dataset, columns=tuple(columns), inputs=inputs, notes=(*dataset.notes, *notes))


def _known(column: Column, values: NDArray[Any], rest: NDArray[np.bool_]) -> int:
    """How many categories of ``column`` the rows ``rest`` have."""
    return len(column.categories) if rest.all() else len(np.unique(values[rest & ~np.isnan(values)]))


def _unseen(column: Column, values: NDArray[Any], rest: NDArray[np.bool_]) -> str:
    """The categories of ``column`` that no row of ``rest`` has, in words; empty if there are none."""
    if rest.all():
        return ""
    given = values[~rest & ~np.isnan(values)]
    codes, counts = np.unique(given[~np.isin(given, values[rest])].astype(np.int64), return_counts=True)
    if not len(codes):
        return ""
    names = join_names([f"{column.categories[code]!r:.40}" for code in codes.tolist()], _MAX_LISTED)
    total = int(counts.sum())
    return f"{names} in {total:,} given validation or test row{'s' * (total != 1)} and no other"


def _unseen_error(name: str, errors: Mapping[str, str]) -> str:
    listed = "; ".join(f"column {column!r} has {unseen}" for column, unseen in errors.items())
    one = len(errors) == 1
    return (
        f"{name}: {listed}; {'it has' if one else 'they have'} no rare categories in training that "
        f"{'this' if one else 'these'} could count as: correct the values, leave out these rows, or leave out the "
        f"column{'s' * (not one)} with --drop {shlex.join(errors)}"
    )


def _group_rare(
    column: Column, values: NDArray[np.float32], train: NDArray[np.int64], known: int
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
    return replace(column, categories=names, other=len(names) < known), np.where(missing, values, new_codes[codes])
