"""The rows of a CSV text, read like training's files: in pieces, so that no step takes long.

https://www.rfc-editor.org/rfc/rfc4180, with ``,``, ``;``, tab or ``|`` between the values.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Final

from service.errors import MalformedBody

DELIMITERS: Final = ",;\t|"
_PIECE_BYTES: Final = 32 * 1024
_MOST_EMPTY_LINES: Final = 10_000  # they are skipped at once, and a large body could have millions
_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_QUOTED: Final = re.compile(r'"[^"]*"')


class CsvText:
    """The rows of ``body`` as lists of strings; empty lines are skipped. A row may have ``longest_bytes``.

    Iterating raises `MalformedBody`. Without a given one, ``delimiter`` is the one that the first line has most of
    outside quotes, or the one that makes it ``width`` values long.
    """

    def __init__(self, body: bytes, longest_bytes: int, width: int | None = None, delimiter: str | None = None) -> None:
        self._body = body
        self._longest_bytes = longest_bytes
        self._at = len(_BOM) if body.startswith(_BOM) else 0
        self._row_chars = 0
        self.read_chars = 0  # of all rows so far
        self._empty_lines = 0
        first = next(self._lines(peek=True), "")
        self.delimiter = delimiter or _delimiter(first, width)
        self._rows = csv.reader(self._lines(), delimiter=self.delimiter, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while True:
            self._row_chars = 0
            try:
                row = next(self._rows)
            except csv.Error as error:
                raise MalformedBody(f"the body is not CSV: line {self._rows.line_num}: {error}") from error
            if row:
                self.read_chars += self._row_chars
                return row
            self._empty_lines += 1
            if self._empty_lines > _MOST_EMPTY_LINES:
                raise MalformedBody(f"the body has more than {_MOST_EMPTY_LINES} empty lines; send rows alone")

    def _lines(self, *, peek: bool = False) -> Iterator[str]:
        """The lines; with ``peek`` those of the first piece that are not blank."""
        at = self._at
        while at < len(self._body):
            end = self._end_of_piece(at)
            piece = self._decoded(at, end)
            for match in _LINE.finditer(piece):
                line = match.group()
                self._row_chars += len(line)
                if self._row_chars > self._longest_bytes:
                    raise self._too_long()
                if not peek or line.strip():
                    yield line
            if peek:
                break
            at = end

    def _end_of_piece(self, start: int) -> int:
        """The end of the last line that is whole within a piece; of the first line if it is longer."""
        body, size = self._body, _PIECE_BYTES
        while start + size < len(body):
            end = start + size
            # A carriage return at the end may be the first half of a line's end.
            last = max(body.rfind(b"\n", start, end), body.rfind(b"\r", start, end - 1))
            if last >= 0:
                return last + 1
            if size > self._longest_bytes:
                raise self._too_long()
            size *= 2
        return len(body)

    def _decoded(self, start: int, end: int) -> str:
        try:
            return self._body[start:end].decode()
        except UnicodeDecodeError as error:
            at = start + error.start
            raise MalformedBody(f"the body is not UTF-8: byte {at} is {self._body[at]:#04x}") from error

    def _too_long(self) -> MalformedBody:
        return MalformedBody(f"a line of the body has more than {self._longest_bytes} bytes; is a quote left open?")


def _delimiter(first: str, width: int | None) -> str:
    if width is not None:
        for delimiter in DELIMITERS:
            if _values_in(first, delimiter) == width:
                return delimiter
    return max(DELIMITERS, key=_QUOTED.sub("", first).count)


def _values_in(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:  # a value is longer than the parser allows
        return 0
