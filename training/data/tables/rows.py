"""Encode rows of a table for a network that was trained on such a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.cells import Cells
from training.data.dataset import Column, join_names
from training.data.tables import columns, dates, parsing
from training.data.tables.numbers import Rules
from training.errors import DataError

DEFAULT_CELLS: Final = Cells()
_MAX_LISTED: Final = 20


def encode(what: str, table: pa.Table, expected: Sequence[Column], cells: Cells | None) -> NDArray[np.float64]:
    """Return the values of the ``expected`` columns of ``table``, (rows, columns); other columns are ignored.

    An unknown category is the column's `other`, and counts as missing if it has none. ``cells`` are the rules for
    reading strings, None for the default ones. Errors call the table ``what``. Raises `DataError` if columns are
    missing or do not have their type.
    """
    names = set(table.column_names)
    if absent := [column.name for column in expected if column.name not in names]:
        raise DataError(f"{what} has no column {join_names([*map(repr, absent)], _MAX_LISTED)}; the network needs it")
    values = np.empty((table.num_rows, len(expected)), np.float64)
    for index, column in enumerate(expected):
        array, own = table[column.name], column.cells or cells or DEFAULT_CELLS
        if not columns.is_supported(array):
            raise DataError(f"column {column.name!r} has type {array.type}, expected {column.type} values")
        if column.format is not None:
            values[:, index] = dates.read(column.name, array, column.format, own)
        elif column.type == "categorical":
            values[:, index] = _codes(column, array, own)
        else:
            values[:, index] = _numbers(column, array, own)
    return values


def _codes(column: Column, array: pa.ChunkedArray, cells: Cells) -> NDArray[np.float64]:
    names, codes = columns.encode(parsing.as_strings(columns.to_strings(array), cells).array)
    known = {name: float(code) for code, name in enumerate(column.categories)}
    unknown = float(len(column.categories)) if column.other else np.nan
    by_code: NDArray[Any] = np.array([*(known.get(name, unknown) for name in names), np.nan])
    return by_code[np.where(np.isnan(codes), len(names), codes).astype(np.int64)]


def _numbers(column: Column, array: pa.ChunkedArray, cells: Cells) -> NDArray[np.float64]:
    if pa.types.is_duration(array.type):
        return dates.days_of_durations(array)
    if pa.types.is_temporal(array.type):
        raise DataError(f"column {column.name!r} has type {array.type}, expected {column.type} values")
    if columns.is_string(array):
        array = parsing.infer(column.name, array, Rules(cells, strict=True), "").array
    elif columns.is_numeric(array):
        array = parsing.without_sentinels(array, cells)
    found, values = columns.to_feature(column.name, array, categorical=False)
    if found.type == "categorical":
        odd = next((each for each in found.categories if cells.number(each) is None), found.categories[0])
        raise DataError(f"column {column.name!r} has {odd!r:.60}, expected {column.type} values")
    return values
