"""Rows of a DataFrame or an array as a table, and its columns as features."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data import precision
from training.data.dataset import Column, join_names
from training.data.tables import columns, dates, features, frames, parsing
from training.data.tables.rows import DEFAULT_CELLS
from training.errors import DataError, joined

_MAX_LISTED: Final = 5


def to_table(X: Any, names: Sequence[str]) -> tuple[pa.Table, tuple[str, ...]]:
    """``X``, a DataFrame or an array (rows, features), as a table with these column ``names``.

    Also returns the columns whose type is one of categories. A column of an object array that has mixed types becomes
    strings. Raises `DataError`.
    """
    if not frames.is_frame(X):
        X = pa.table([_array(column) for column in X.T], list(names))
    elif hasattr(X, "set_axis"):  # pandas, whose names need not be strings
        X = X.set_axis(list(names), axis=1)
    frame = frames.frame_of(X, "X")
    table = frame.rows
    if repeated := [name for name, times in Counter(table.column_names).items() if times > 1]:
        listed = join_names(list(map(repr, repeated)), _MAX_LISTED)
        raise DataError(f"X has several columns named {listed}, but for blanks at the ends; rename them")
    return table, frame.categorical


def features_of(table: pa.Table, categorical: Sequence[str]) -> tuple[tuple[Column, ...], NDArray[Any]]:
    """The columns of ``table``, and their values (rows, columns): float32, or float64 to keep them apart or for dates.

    Columns in ``categorical`` are categories whatever they hold. Raises `DataError` with all that is wrong.
    """
    found: list[Column] = []
    values = np.empty((table.num_rows, table.num_columns))
    errors: list[str] = []
    for index, (name, array) in enumerate(zip(table.column_names, table.columns, strict=True)):
        read = None if name in categorical else dates.infer(name, array, DEFAULT_CELLS, dates.DateOptions())
        used = array if read is None else read.array
        if name in categorical or columns.is_string(used):  # as they are read to predict
            used = parsing.as_strings(columns.to_strings(used), DEFAULT_CELLS).array
        faults = columns.errors_of(name, used, numeric=name not in categorical)
        errors += faults
        if not faults:
            column, values[:, index] = columns.to_feature(name, used, categorical=name in categorical)
            found.append(features.dated(column, values[:, index], None if read is None else read.dates))
    if errors:
        raise DataError(joined("X", errors))
    numeric = [index for index, column in enumerate(found) if column.type == "numeric"]
    has_dates = any(column.type == "datetime" for column in found)
    if has_dates or any(precision.needs_float64(values[:, index]) for index in numeric):
        return tuple(found), values
    return tuple(found), values.astype(np.float32)


def _array(values: NDArray[Any]) -> pa.Array:
    if values.dtype != object:
        return pa.array(np.ascontiguousarray(values))
    try:
        return pa.array(values.tolist(), from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return pa.array(
            [None if each is None or (isinstance(each, float) and math.isnan(each)) else str(each) for each in values]
        )
