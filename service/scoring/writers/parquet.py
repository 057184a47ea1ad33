"""Parquet, in row groups that readers can take in parallel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet, types

from service.models.command import CommandError

SUFFIXES: Final = (".parquet", ".pq")
_GROUP_ROWS: Final = 2**18
_GROUP_BYTES: Final = 2**26


def check(schema: Any) -> None:
    """Raise `CommandError` if Parquet has no type for a column."""
    for field in schema:
        try:
            parquet.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        except pa.ArrowNotImplementedError as error:
            raise CommandError(
                f"Parquet cannot hold the column {field.name!r:.60} ({field.type!s:.60}); leave it out with --keep"
            ) from error


class ParquetWriter:
    """Gathers batches until they are a row group.

    Only strings are encoded by dictionaries: those of numbers that hardly repeat take longer than the network.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        texts = [each.name for each in schema if not (types.is_primitive(each.type) or types.is_nested(each.type))]
        self._schema = schema
        self._file = parquet.ParquetWriter(
            path, schema, compression="snappy", use_dictionary=texts or False, max_rows_per_page=_GROUP_ROWS
        )
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0

    def prepare(self, batch: Any) -> Any:
        """The batch as it is; see `Writer`."""
        return batch

    def write(self, prepared: Any) -> None:
        """Append rows; see `Writer`."""
        self._waiting.append(prepared)
        self._rows += prepared.num_rows
        self._bytes += prepared.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the last row group, and the footer."""
        try:
            self._flush()
        finally:
            self._file.close()

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._waiting, self._rows, self._bytes = [], 0, 0
            self._file.write_table(table, row_group_size=table.num_rows)
