"""CSV and TSV, with a header; a null is an empty value."""

from __future__ import annotations

import csv as python_csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import csv, types

from service.scoring.writers.text_file import TextFile

SUFFIXES: Final = (".csv", ".tsv")


class DelimitedWriter(TextFile):
    """Quotes strings only where some of them need it."""

    def __init__(self, path: Path, schema: Any, compress: Callable[[bytes], bytes], delimiter: str) -> None:
        super().__init__(path, compress)
        self._delimiter = delimiter
        header = io.StringIO()
        python_csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(schema.names)
        self.write(compress(header.getvalue().encode()))

    def encoded(self, batch: Any) -> bytes:
        """The lines of some rows."""
        plain = pa.Table.from_arrays([_plain(column) for column in batch.columns], names=batch.schema.names)
        try:
            return self._lines(plain, "none")
        except pa.ArrowInvalid:  # a string has a quote, a delimiter or the end of a line
            return self._lines(plain, "needed")

    def _lines(self, table: Any, quoting: str) -> bytes:
        lines = pa.BufferOutputStream()
        options = csv.WriteOptions(include_header=False, delimiter=self._delimiter, quoting_style=quoting)
        csv.write_csv(table, lines, options)
        return bytes(lines.getvalue().to_pybytes())


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type have one text each."""
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return not (types.is_nested(inner) or types.is_binary(inner) or types.is_large_binary(inner))


def _plain(array: Any) -> Any:
    return array.dictionary_decode() if types.is_dictionary(array.type) else array
