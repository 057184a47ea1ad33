"""Columns of strings in temporary files that are mapped into memory, since they take several times that of numbers.

Each column has a file of its own without a name, which the system removes with the last reference to the column.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import IO, Final

import pyarrow as pa

MAX_COLUMNS: Final = 500  # open files


def columns_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[pa.ChunkedArray]:
    """Return the columns of ``batches``, of which there is at least one row. Raises `OSError` if the disk is full."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in schema]
        _write(schema, batches, files)
        return [_mapped(file) for file in files]


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
    content = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return pa.ipc.open_file(content).read_all().column(0)
