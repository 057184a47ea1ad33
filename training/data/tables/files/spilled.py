"""Columns in temporary files that are mapped into memory: strings, and the float64 that they become, of large tables.

Each column has a file of its own without a name, which the system removes with the last reference to the column.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import IO, Final
from weakref import WeakSet

import pyarrow as pa

MAX_COLUMNS: Final = 500  # open files
_mappings: Final[WeakSet[mmap.mmap]] = WeakSet()


def columns_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[pa.ChunkedArray]:
    """Return the columns of ``batches``, of which there is at least one row. Raises `OSError` if the disk is full."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in schema]
        _write(schema, batches, files)
        return [_mapped(file) for file in files]


def table_of(columns: Sequence[pa.ChunkedArray], names: Sequence[str]) -> pa.Table:
    """Return what `pa.table` does, which would check every part of each column, and so read all of those in files.

    Of more columns than may be in files, adding one after the other would take time that grows with their square.
    """
    if len(columns) > MAX_COLUMNS:
        return pa.table(list(columns), list(names))
    table = pa.table([columns[0]], [names[0]])
    for name, column in zip(names[1:], columns[1:], strict=True):
        table = table.append_column(name, column)
    return table


def moved(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the same values in a file; ``array`` itself, in memory as it is, if the disk is full."""
    table = pa.table([array], ["values"])
    try:
        return columns_of(table.schema, table.to_batches())[0]
    except OSError:
        return array


def give_back() -> None:
    """Give back the memory of all columns in files; values that are used again are read again."""
    for mapping in list(_mappings):
        mapping.madvise(mmap.MADV_DONTNEED)


def _write(schema: pa.Schema, batches: Iterable[pa.RecordBatch], files: Sequence[IO[bytes]]) -> None:
    schemas = [pa.schema([field]) for field in schema]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(pa.ipc.new_file(pa.PythonFile(file, "w"), each))
            for file, each in zip(files, schemas, strict=True)
        ]
        for batch in batches:
            for writer, each, column in zip(writers, schemas, batch.columns, strict=True):
                writer.write_batch(pa.record_batch([column], schema=each))


def _mapped(file: IO[bytes]) -> pa.ChunkedArray:
    file.flush()
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _mappings.add(mapping)
    column = pa.ipc.open_file(pa.py_buffer(mapping)).read_all().column(0)
    mapping.madvise(mmap.MADV_DONTNEED)  # the pages between the headers of its parts
    return column
