"""A DataFrame of pandas, polars or another library as an Arrow table, which is read like a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.cells import name_of
from training.data.dataset import join_names
from training.data.tables import columns
from training.data.tables.files.cell_values import to_column
from training.data.tables.files.content import Content
from training.errors import DataError

_MAX_LISTED: Final = 5
_OWN_TYPES: Final = ("PeriodDtype", "IntervalDtype")


@dataclass(frozen=True, eq=False)
class Frame:
    """A table in memory. Errors call it ``name``. The columns in ``mixed`` had values of several types."""

    name: str
    table: pa.Table
    mixed: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name

    @property
    def content(self) -> Content:
        """The columns, as those of a file that stores their types, but for those that are ``mixed``."""
        names = tuple(self.table.column_names)
        typed = tuple(name not in self.mixed for name in names)
        return Content(names, tuple(map(columns.normalised, self.table.columns)), typed)

    @property
    def rows(self) -> pa.Table:
        """All rows, with the names and types that `content` has. Raises `DataError` if there are none."""
        if not self.table.num_rows:
            raise DataError(f"{self.name} has no rows, expected at least one")
        content = self.content
        return pa.table(list(content.columns), list(map(name_of, content.names)))

    @property
    def categorical(self) -> tuple[str, ...]:
        """The columns whose type is one of categories, as pandas' ``category`` and polars' ``Enum``."""
        return tuple(name_of(field.name) for field in self.table.schema if pa.types.is_dictionary(field.type))

    @property
    def digest(self) -> str:
        """The SHA-256 of the rows, in Arrow's stream format."""
        hashing = _Hashing()
        with pa.ipc.new_stream(pa.PythonFile(hashing, "w"), self.table.schema) as stream:
            stream.write_table(self.table)
        return hashing.sha256.hexdigest()


def is_frame(rows: object) -> bool:
    """Return whether ``rows`` have named columns: a DataFrame, an Arrow table, or a mapping from names to columns."""
    return _is_pandas(rows) or _is_stream(rows) or isinstance(rows, Mapping)


def frame_of(rows: Any, name: str) -> Frame:
    """Return ``rows``, of which errors speak by ``name``.

    They are an Arrow table, a DataFrame of pandas (its index is left out), one with the Arrow C stream interface such
    as that of polars, or a mapping from names to columns. Raises `DataError`.
    """
    try:
        if _is_pandas(rows):
            return Frame(name, *_of_pandas(rows, name))
        return Frame(name, _table(rows, name))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        reason = ": ".join(map(str, error.args))
        raise DataError(f"{name} cannot be read: {reason}; give each column one type and its own name") from error


def _table(rows: Any, name: str) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if _is_stream(rows):
        return pa.table(rows)
    if isinstance(rows, Mapping):
        _check_names(list(rows), name)
        return pa.table(dict(rows))
    raise DataError(
        f"{name} is of type {type(rows).__name__}, expected a DataFrame of pandas or polars, an Arrow table, or a "
        "mapping from names to columns"
    )


def _of_pandas(rows: Any, name: str) -> tuple[pa.Table, frozenset[str]]:
    """A DataFrame of pandas as a table, and its columns of objects of several types, which are strings there."""
    _check_names(list(rows.columns), name)
    if own := _of_own_types(rows):
        rows = rows.assign(**own)
    try:
        return pa.Table.from_pandas(rows, preserve_index=False), frozenset()
    except (pa.ArrowException, OverflowError, TypeError):
        found = {each: to_column(_objects(rows[each])) for each in rows.columns if _is_mixed(rows[each])}
        if not found:
            raise
        plain = rows.assign(**{each: array.to_pylist() for each, (array, _) in found.items()})
        mixed = frozenset(each for each, (_, typed) in found.items() if not typed)
        return pa.Table.from_pandas(plain, preserve_index=False), mixed


def _is_mixed(values: Any) -> bool:
    """Whether a column of pandas has objects that are of no one type of Arrow."""
    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError):
        return bool(values.dtype == object)
    return False


def _objects(values: Any) -> list[Any]:
    """The values of a column of pandas as Python's, None where missing."""
    plain = (each.item() if isinstance(each, np.generic) else each for each in values)
    return [None if missing else each for each, missing in zip(plain, values.isna(), strict=True)]


def _of_own_types(rows: Any) -> dict[str, Any]:
    """The columns of pandas whose types Arrow has not, in one that it has: sparse ones, periods, and those of `cut`."""
    found = {}
    for name, dtype in rows.dtypes.items() if rows.columns.is_unique else ():
        kind = type(dtype).__name__
        if kind == "SparseDtype":
            found[name] = rows[name].astype(dtype.subtype)
        elif kind in _OWN_TYPES:
            found[name] = rows[name].astype("string")
        elif kind == "CategoricalDtype" and type(dtype.categories.dtype).__name__ in _OWN_TYPES:
            found[name] = rows[name].cat.rename_categories(str)
    return found


def _check_names(names: list[Any], name: str) -> None:
    """Raise `DataError` with the names that are no strings."""
    others = [repr(each) for each in names if not isinstance(each, str)]
    if not others:
        return
    if any(isinstance(each, tuple) for each in names):
        remedy = "join the levels, as by df.columns = ['_'.join(map(str, each)) for each in df.columns]"
    else:
        remedy = "rename them, as by df.columns = df.columns.astype(str)"
    listed = join_names(others, _MAX_LISTED)
    raise DataError(f"{name} has columns named {listed}, expected strings; {remedy}")


def _is_stream(rows: Any) -> bool:
    """Whether ``rows`` are a table with the Arrow C stream interface, which a single column may have, too."""
    return hasattr(rows, "__arrow_c_stream__") and len(getattr(rows, "shape", (0, 0))) == 2


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
