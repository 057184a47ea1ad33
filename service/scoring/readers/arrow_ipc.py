"""Arrow files and streams, and Feather, which is an Arrow file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
from pyarrow import ipc

from service.models.command import CommandError
from service.scoring.places import Place
from service.scoring.readers.source import Position, Wanted
from service.scoring.readers.table_batch import BatchChunk
from service.scoring.readers.table_numbers import TableNumbers

SUFFIXES: Final = (".arrow", ".arrows", ".feather", ".ipc")
_FILE_MAGIC: Final = b"ARROW1"


class ArrowFile:
    """One table. Raises `CommandError`, and `InvalidInput` for the model's columns.

    A record batch of the file is in memory as a whole, or mapped if it is on this machine and not compressed.
    """

    def __init__(self, place: Place, wanted: Wanted) -> None:
        self._place = place
        self._wanted = wanted
        with _batches(place) as (schema, _):
            self._numbers = TableNumbers.of_types(schema, wanted)
            self.schema = pa.schema([schema.field(name) for name in wanted.kept(schema.names, place.shown)])
        self.total = _rows_of(place)

    def chunks(self, done: Position) -> Iterator[BatchChunk]:
        """The rows after the first ``done.rows``."""
        skip, size = done.rows, self._wanted.chunk_rows
        with _batches(self._place) as (_, batches):
            for whole in batches:
                for first in range(skip, whole.num_rows, size):
                    yield BatchChunk(self._place.shown, whole.slice(first, size), self._numbers, self.schema)
                skip = max(skip - whole.num_rows, 0)


@contextmanager
def _batches(place: Place) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema and the record batches. Raises `CommandError` if the file is damaged, now or while it is read."""
    try:
        with _opened(place) as file:
            is_file = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
            file.seek(0)
            reader = ipc.open_file(file) if is_file else ipc.open_stream(file)
            yield reader.schema, map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise CommandError(f"{place.shown} is no whole Arrow file: {reason:.200}; write it again") from error


def _opened(place: Place) -> Any:
    with place.open() as content:  # which has the better errors
        if place.local is None:
            return pa.BufferReader(content.read())
    return pa.memory_map(str(place.local))


def _rows_of(place: Place) -> int | None:
    """How many rows a file has; None for a stream."""
    with _opened(place) as file:
        if file.read(len(_FILE_MAGIC)) != _FILE_MAGIC:
            return None
        file.seek(0)
        return int(ipc.open_file(file).count_rows())
