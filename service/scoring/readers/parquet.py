"""Parquet: a file, or a folder of files, whose folders may be named by partition, as in year=2026/month=1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from service.models.command import CommandError
from service.scoring.places import Place
from service.scoring.readers import partitions
from service.scoring.readers.source import Position, Wanted
from service.scoring.readers.table_batch import BatchChunk
from service.scoring.readers.table_numbers import TableNumbers

SUFFIXES: Final = (".parquet", ".pq")
# What is read ahead of each column chunk, which may have hundreds of megabytes.
_BUFFER_BYTES: Final = 2**20
_BATCH_BYTES: Final = 2**25
_BATCH_ROWS: Final = 2**17


class ParquetFiles:
    """Files with the same columns, as one table. Raises `CommandError`, and `InvalidInput` for the model's columns."""

    def __init__(self, files: Sequence[Place], wanted: Wanted) -> None:
        self._files = files
        self._wanted = wanted
        self._partitions = partitions.of([file.below for file in files])
        self._rows = [_rows_of(file) for file in files]
        with _opened(files[0]) as first:
            schema = _with_partitions(first.schema_arrow, self._partitions[0])
        TableNumbers.of_types(schema, wanted)
        self.schema = pa.schema([schema.field(name) for name in wanted.kept(schema.names, files[0].shown)])

    @property
    def total(self) -> int:
        """How many rows the files have."""
        return sum(self._rows)

    def chunks(self, done: Position) -> Iterator[BatchChunk]:
        """The rows after the first ``done.rows``."""
        skip = done.rows
        for file, rows, values in zip(self._files, self._rows, self._partitions, strict=True):
            if skip >= rows:
                skip -= rows
                continue
            yield from self._of_file(file, values, skip)
            skip = 0

    def _of_file(self, place: Place, values: Mapping[str, Any], skip: int) -> Iterator[BatchChunk]:
        with _opened(place) as file:
            schema = _with_partitions(file.schema_arrow, values)
            lacking = [name for name in self.schema.names if name not in schema.names]
            if lacking:
                detail = f"{place.shown} has no column {lacking[0]!r:.60}, which the files before have"
                raise CommandError(f"{detail}; choose columns with --keep")
            features = TableNumbers.of_types(schema, self._wanted).features()
            used = {*self.schema.names, *(schema.names[at] for at in features)}
            names = [name for name in file.schema_arrow.names if name in used]
            groups, skip = _groups_after(file.metadata, skip)
            numbers = None
            size = min(_BATCH_ROWS, _rows_in_memory(file.metadata))
            for batch in file.iter_batches(size, row_groups=groups, columns=names):
                whole = _with_values(batch, values)
                numbers = numbers or TableNumbers.of_types(whole.schema, self._wanted)
                for first in range(skip, whole.num_rows, self._wanted.chunk_rows):
                    yield BatchChunk(place.shown, whole.slice(first, self._wanted.chunk_rows), numbers, self.schema)
                skip = max(skip - whole.num_rows, 0)


def _with_partitions(schema: Any, values: Mapping[str, Any]) -> Any:
    """``schema`` with the columns that are in the names of folders, which come last unless a file has them, too."""
    for name, value in values.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, value.type))
    return schema


def _with_values(batch: Any, values: Mapping[str, Any]) -> Any:
    for name, value in values.items():
        if name not in batch.schema.names:
            batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
    return batch


def _groups_after(metadata: Any, skip: int) -> tuple[list[int], int]:
    """The row groups that have rows after the first ``skip``, and how many rows of the first group to skip."""
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if skip < rows:
            return list(range(group, metadata.num_row_groups)), skip
        skip -= rows
    return [], 0


def _rows_in_memory(metadata: Any) -> int:
    """How many rows of a file take little memory, as far as its footer tells."""
    size_bytes = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return max(1, int(_BATCH_BYTES * metadata.num_rows / max(size_bytes, 1)))


def _rows_of(place: Place) -> int:
    with _opened(place) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _opened(place: Place) -> Iterator[Any]:
    """The file. Raises `CommandError` if it is damaged, now or while it is read."""
    with place.open() as content:  # which has the better errors
        try:
            source = content if place.local is None else pa.OSFile(str(place.local))  # without Python's lock and copies
            with parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(f"{place.shown} is no whole Parquet file: {reason:.200}; write it again") from error
