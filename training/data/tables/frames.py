"""A DataFrame of pandas, polars or another library as an Arrow table, which is read like a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from training.data.tables import columns
from training.data.tables.files.content import Content
from training.errors import DataError


@dataclass(frozen=True, eq=False)
class Frame:
    """A table in memory. Errors call it ``name``."""

    name: str
    table: pa.Table

    def __str__(self) -> str:
        return self.name

    @property
    def content(self) -> Content:
        """The columns, as those of a file that stores their types."""
        names = tuple(self.table.column_names)
        return Content(names, tuple(map(columns.normalised, self.table.columns)), (True,) * len(names))

    @property
    def rows(self) -> pa.Table:
        """All rows, with the names and types that `content` has. Raises `DataError` if there are none."""
        if not self.table.num_rows:
            raise DataError(f"{self.name} has no rows, expected at least one")
        content = self.content
        return pa.table(list(content.columns), [name.strip() for name in content.names])

    @property
    def categorical(self) -> tuple[str, ...]:
        """The columns whose type is one of categories, as pandas' ``category`` and polars' ``Enum``."""
        return tuple(field.name.strip() for field in self.table.schema if pa.types.is_dictionary(field.type))

    @property
    def digest(self) -> str:
        """The SHA-256 of the rows, in Arrow's stream format."""
        hashing = _Hashing()
        with pa.ipc.new_stream(pa.PythonFile(hashing, "w"), self.table.schema) as stream:
            stream.write_table(self.table)
        return hashing.sha256.hexdigest()


def is_frame(rows: object) -> bool:
    """Return whether ``rows`` have named columns: a DataFrame, an Arrow table, or a mapping from names to columns."""
    return _is_pandas(rows) or hasattr(rows, "__arrow_c_stream__") or isinstance(rows, Mapping)


def frame_of(rows: Any, name: str) -> Frame:
    """Return ``rows``, of which errors speak by ``name``.

    They are an Arrow table, a DataFrame of pandas (its index is left out), one with the Arrow C stream interface such
    as that of polars, or a mapping from names to columns. Raises `DataError`.
    """
    try:
        return Frame(name, _table(rows, name))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        reason = ": ".join(map(str, error.args))
        raise DataError(f"{name} cannot be read: {reason}; give each column one type and its own name") from error


def _table(rows: Any, name: str) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if _is_pandas(rows):
        _check_names(list(rows.columns), name)
        sparse = {column: each.subtype for column, each in rows.dtypes.items() if type(each).__name__ == "SparseDtype"}
        return pa.Table.from_pandas(rows.astype(sparse) if sparse else rows, preserve_index=False)
    if hasattr(rows, "__arrow_c_stream__"):
        return pa.table(rows)
    if isinstance(rows, Mapping):
        _check_names(list(rows), name)
        return pa.table(dict(rows))
    raise DataError(
        f"{name} is of type {type(rows).__name__}, expected a DataFrame of pandas or polars, an Arrow table, or a "
        "mapping from names to columns"
    )


def _check_names(columns: list[Any], name: str) -> None:
    for each in columns:
        if not isinstance(each, str):
            raise DataError(f"{name} has the column name {each!r}, expected a string; rename the column")


def _is_pandas(rows: object) -> bool:
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(rows).__mro__}
    return ("pandas", "DataFrame") in names


class _Hashing:
    """A file that hashes what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.sha256.update(content)
        return len(content)

    def flush(self) -> None: ...
