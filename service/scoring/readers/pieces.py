"""A text file in pieces of whole lines, or of whole rows of a CSV text, decompressed if its name says so."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import pyarrow as pa

from service.models.command import CommandError
from service.scoring.places import Place

COMPRESSED: Final[dict[str, str]] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_PIECE_BYTES: Final = 2**20
_MOST_BYTES: Final = 2**26
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Piece(NamedTuple):
    """Some rows. ``amount`` is how many bytes of the file they took, compressed as they are, and ``start`` how many
    bytes of the text are before them.

    ``is_whole`` is false for what is left at the end: a row without the end of a line, or what is no CSV.
    """

    content: bytes
    amount: int
    start: int
    is_whole: bool


# The length of the whole rows at the beginning of some bytes; None if they are no rows.
WholeBytes = Callable[[bytes], int | None]


def pieces(place: Place, whole_bytes: WholeBytes) -> Iterator[Piece]:
    """The pieces of a file. Raises `CommandError` if it cannot be read, or a row is longer than memory should hold."""
    with _opened(place) as (stream, position):
        rest, before, start = b"", 0, 0
        while read := stream.read(_PIECE_BYTES):
            rest += read
            end = whole_bytes(rest)
            if end is None:
                break
            if end:
                after = position()
                yield Piece(rest[:end], after - before, start, is_whole=True)
                rest, before, start = rest[end:], after, start + end
            elif len(rest) > _MOST_BYTES:
                raise CommandError(f"{place.shown} has a row of more than {_MOST_BYTES:,} bytes; is a quote left open?")
        if rest:
            yield Piece(rest, position() - before, start, is_whole=False)


def whole_lines(content: bytes) -> int:
    """The length of the whole lines; they end with a line feed."""
    return content.rfind(b"\n") + 1


def whole_rows(delimiter: str) -> WholeBytes:
    """What finds the whole rows of a CSV text: a line end within quotes ends none."""

    def found(content: bytes) -> int | None:
        # A carriage return at the end may be the first half of a line's end.
        last = max(content.rfind(b"\n"), content.rfind(b"\r", 0, -1)) + 1
        return last if b'"' not in content else _quoted_rows(content[:last], delimiter)

    return found


def _quoted_rows(content: bytes, delimiter: str) -> int | None:
    """The length of the rows in ``content``, whole lines, up to the last row that ends there."""
    at = end = 0

    def lines() -> Iterator[str]:
        nonlocal at
        for match in _LINE.finditer(content):
            at = match.end()
            yield match.group().decode(errors="replace")

    rows = csv.reader(lines(), delimiter=delimiter, strict=True)
    try:
        for _ in rows:
            end = at
    except csv.Error as error:
        if "unexpected end" not in str(error):
            return None
    return end


@contextmanager
def _opened(place: Place) -> Iterator[tuple[Any, Callable[[], int]]]:
    """The decompressed content, and what tells how many bytes of the file are read. Raises `CommandError`."""
    method = COMPRESSED.get(place.below.suffix.lower())
    with place.open() as file:
        try:
            if method is None:
                yield file, file.tell
            else:
                with pa.CompressedInputStream(file, method) as stream:
                    yield stream, file.tell
        except OSError as error:
            reason = error.strerror or str(error).partition("\n")[0]
            raise CommandError(f"{place.shown} cannot be read: {reason:.200}; copy or write it again") from error
