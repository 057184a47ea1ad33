"""CSV and TSV, with a header; a null is an empty value, and only values that need it are quoted."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import compute, types

from service.scoring.writers.text_file import TextFile

SUFFIXES: Final = (".csv", ".tsv")


class DelimitedWriter(TextFile):
    """Writes lines as Python's csv module would, many rows at once."""

    def __init__(self, path: Path, schema: Any, compress: Callable[[bytes], bytes], delimiter: str) -> None:
        super().__init__(path, compress)
        self._delimiter = delimiter
        self._structural = f'[{delimiter}"\r\n]'
        header = io.StringIO()
        csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(schema.names)
        self.write(compress(header.getvalue().encode()))

    def encoded(self, batch: Any) -> bytes:
        """The lines of some rows."""
        texts = [self._texts(column) for column in batch.columns]
        if len(texts) == 1:  # an empty line would be no row
            texts = [compute.if_else(compute.equal(texts[0], ""), '""', texts[0])]
        lines = _joined(*texts, by=self._delimiter)
        return _content(_joined(lines, _scalar(""), by="\n"))

    def _texts(self, array: Any) -> Any:
        """The values of an array as they stand in a line."""
        plain = array.dictionary_decode() if types.is_dictionary(array.type) else array
        texts = compute.fill_null(plain.cast(pa.large_string()), "")
        if types.is_primitive(plain.type):
            return texts
        unsafe = compute.match_substring_regex(texts, self._structural)
        if not compute.any(unsafe).as_py():
            return texts
        doubled = compute.replace_substring(texts, '"', '""')
        return compute.if_else(unsafe, _joined(_scalar(""), doubled, _scalar(""), by='"'), texts)


def _scalar(text: str) -> Any:
    return pa.scalar(text, pa.large_string())


def _joined(*texts: Any, by: str) -> Any:
    return compute.binary_join_element_wise(*texts, _scalar(by))


def _content(lines: Any) -> bytes:
    """All strings of an array, one after the other, as they are in its memory."""
    _, offsets, characters = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return bytes(characters[ends[0] : ends[-1]])


def is_text(kind: Any) -> bool:
    """Whether values of an Arrow type have one text each."""
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return not (types.is_nested(inner) or types.is_interval(inner) or _is_binary(inner))


def _is_binary(kind: Any) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))
