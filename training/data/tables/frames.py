"""A DataFrame of pandas, polars or another library as an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from training.data.tables import reader
from training.errors import DataError


def is_frame(rows: object) -> bool:
    """Return whether ``rows`` have named columns: a DataFrame, an Arrow table, or a mapping from names to columns."""
    return _is_pandas(rows) or hasattr(rows, "__arrow_c_stream__") or isinstance(rows, Mapping)


def read(frame: Any, what: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return ``frame`` as `reader.normalised` does, and the columns whose type is one of categories.

    It is an Arrow table, a DataFrame of pandas (its index is left out), one with the Arrow C stream interface such as
    that of polars, or a mapping from names to columns. Errors call it ``what``. Raises `DataError`.
    """
    try:
        table = _table(frame, what)
        categorical = tuple(field.name.strip() for field in table.schema if pa.types.is_dictionary(field.type))
        return reader.normalised(what, table), categorical
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        reason = ": ".join(map(str, error.args))
        raise DataError(f"{what} cannot be read: {reason}; give each column one type and its own name") from error


def _table(frame: Any, what: str) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if _is_pandas(frame):
        _check_names(list(frame.columns), what)
        sparse = {name: each.subtype for name, each in frame.dtypes.items() if _sparse(each)}
        return pa.Table.from_pandas(frame.astype(sparse) if sparse else frame, preserve_index=False)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    if isinstance(frame, Mapping):
        _check_names(list(frame), what)
        return pa.table(dict(frame))
    raise DataError(
        f"{what} is of type {type(frame).__name__}, expected a DataFrame of pandas or polars, an Arrow table, or a "
        "mapping from names to columns"
    )


def _sparse(dtype: object) -> bool:
    return type(dtype).__name__ == "SparseDtype"


def _check_names(names: list[Any], what: str) -> None:
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{what} has the column name {name!r}, expected a string; rename the column")


def _is_pandas(frame: object) -> bool:
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(frame).__mro__}
    return ("pandas", "DataFrame") in names
