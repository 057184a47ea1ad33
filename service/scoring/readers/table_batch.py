"""A chunk that is a record batch of typed columns, of whatever file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from service.models.command import CommandError
from service.scoring.faults import ChunkFaults
from service.scoring.readers.source import Read
from service.scoring.readers.table_numbers import TableNumbers


@dataclass(frozen=True, slots=True)
class BatchChunk:
    """Rows of a typed table; ``schema`` has the columns to keep."""

    file: str
    batch: Any
    numbers: TableNumbers
    schema: Any

    @property
    def amount(self) -> int:
        """How many rows there are."""
        return int(self.batch.num_rows)

    def read(self) -> Read:
        """The rows; see `Chunk`."""
        faults = ChunkFaults()
        inputs = self.numbers(self.batch.columns, self.batch.num_rows, faults)
        return Read(inputs, kept_columns(self.file, self.batch, self.schema), faults)


def kept_columns(file: str, batch: Any, schema: Any) -> Any:
    """The columns of a ``batch`` that are in ``schema``, with its types. Raises `CommandError`."""
    arrays = []
    for field in schema:
        array = batch.column(batch.schema.get_field_index(field.name))
        if array.type != field.type:
            try:
                array = array.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise CommandError(
                    f"{file}: column {field.name!r:.60} is {array.type!s:.60}, and {field.type!s:.60} in the files "
                    "before; make it the same, or leave it out with --keep"
                ) from error
        arrays.append(array)
    return record_batch(arrays, schema, batch.num_rows)


def record_batch(arrays: Sequence[Any], schema: Any, rows: int) -> Any:
    """A record batch that keeps the number of its rows even without a column."""
    if len(schema):
        return pa.RecordBatch.from_arrays(list(arrays), schema=schema)
    counted = pa.RecordBatch.from_arrays([pa.nulls(rows)], names=[""])
    return counted.select([])
