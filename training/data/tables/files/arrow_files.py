"""Parquet, Feather and Arrow files, which store the types of their columns."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather, parquet

from training.data.tables.files.content import Content
from training.errors import DataError

_PARQUET = b"PAR1"
_FILES = (b"ARROW1", b"FEA1")


def read(path: Path, content: bytes | Path, kind: str) -> Content:
    """Return the columns of a file of ``kind``, ``parquet`` or ``arrow``, in their types. Raises `DataError`.

    A Parquet file may also be given by its path: its columns are then read without the file being held in memory.
    """
    name = {"parquet": "a Parquet file", "arrow": "an Arrow or Feather file"}[kind]
    try:
        table = _read(content, kind)
        table.validate(full=True)  # strings are UTF-8, lengths match
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged or not {name}: {str(error).partition(chr(10))[0]}") from error
    # pandas stores an unnamed index as a column; clients do not send it.
    kept = [index for index, name in enumerate(table.column_names) if not re.fullmatch(r"__index_level_\d+__", name)]
    names = tuple(table.column_names[index] for index in kept)
    return Content(names, tuple(normalise(table.column(index)) for index in kept), (True,) * len(names))


def kind_of(content: bytes) -> str | None:
    """Return the kind of file that ``content`` begins as, if it is one of these."""
    if content.startswith(_PARQUET):
        return "parquet"
    return "arrow" if content.startswith(_FILES) else None


def normalise(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Normalise: values instead of dictionary codes, null instead of NaN, one string type, float32 for float16."""
    types = pa.types
    plain = array.cast(array.type.value_type) if types.is_dictionary(array.type) else array
    if types.is_large_string(plain.type) or types.is_string_view(plain.type):
        return plain.cast(pa.string())
    if types.is_floating(plain.type):
        numbers = plain.cast(pa.float32()) if types.is_float16(plain.type) else plain
        is_nan = pc.is_nan(numbers)
        return pc.if_else(is_nan, None, numbers) if pc.any(is_nan).as_py() else numbers
    return plain


def _read(content: bytes | Path, kind: str) -> pa.Table:
    if isinstance(content, Path):
        with pa.OSFile(str(content)) as file:
            return parquet.read_table(file, pre_buffer=False, use_threads=False)
    if kind == "parquet":
        return parquet.read_table(pa.BufferReader(content))
    if content.startswith(_FILES):
        return feather.read_table(pa.BufferReader(content))
    return pa.ipc.open_stream(pa.BufferReader(content)).read_all()
