"""Parquet, Feather and Arrow files, which store the types of their columns."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
from pyarrow import feather, parquet

from training.data.tables.files.content import Content
from training.errors import DataError, first_line

_PARQUET = b"PAR1"
_FILE = b"ARROW1"


def read(path: Path, content: bytes | Path, kind: str) -> Content:
    """Return the columns of a file of ``kind``, ``parquet`` or ``arrow``, in their types. Raises `DataError`.

    A Parquet file may also be given by its path: its columns are then read without the file being held in memory.
    """
    name = {"parquet": "a Parquet file", "arrow": "an Arrow or Feather file"}[kind]
    try:
        table = _read(content, kind)
        table.validate(full=True)  # strings are UTF-8, lengths match
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged or not {name}: {first_line(error)}") from error
    # pandas stores an unnamed index as a column; clients do not send it.
    kept = [index for index, name in enumerate(table.column_names) if not re.fullmatch(r"__index_level_\d+__", name)]
    names = tuple(table.column_names[index] for index in kept)
    return Content(names, tuple(table.column(index) for index in kept), (True,) * len(names))


def kind_of(content: bytes) -> str | None:
    """Return the kind of file that ``content`` begins as, if it is one of these."""
    if content.startswith(_PARQUET):
        return "parquet"
    return "arrow" if content.startswith(_FILE) else None


def _read(content: bytes | Path, kind: str) -> pa.Table:
    if isinstance(content, Path):
        with pa.OSFile(str(content)) as file:
            return parquet.read_table(file, pre_buffer=False, use_threads=False)
    if kind == "parquet":
        return parquet.read_table(pa.BufferReader(content))
    if content.startswith(_FILE):
        return feather.read_table(pa.BufferReader(content))
    return pa.ipc.open_stream(pa.BufferReader(content)).read_all()
