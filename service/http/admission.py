"""What a large body counts for in the queue while it is on its way, so that what has no room is refused unread.

Rows are only counted where they are certain to be there: a raw body's length gives them. Of JSON, and of what is
compressed, the bytes of a row are known from the bodies before.
"""

from __future__ import annotations

from typing import Final

from service.http.messages import Request
from service.inference.batcher import Batcher
from service.inference.repository import Model
from service.inference.schema import Schema

# Smaller bodies are cheaper to read than to ask about.
LARGE_BYTES: Final = 64 * 1024
RAW: Final = b"application/octet-stream"
NPY: Final = b"application/x-npy"
JSON: Final = b"application/json"
# The most bytes a value can have: a raw one of each dtype that the model takes, and a number in a .npy file.
_RAW_BYTES: Final = {"uint8": 1, "float32": 4}
_NPY_BYTES: Final = 8
# What one body with much white space had said fades with each body after it.
_FADES: Final = 0.95


class Arrival:
    """A body on its way to the large lane, counted as it comes; `close` it when it is whole, refused or given up.

    Raises `Overloaded` or `DeadlineExceeded` at once where there is no room or time for the rows of ``declared_bytes``,
    which are 0 for a body in chunks. One whose rows are few counts for none.
    """

    def __init__(self, batcher: Batcher, row_bytes: float, declared_bytes: int, deadline_s: float) -> None:
        self._batcher = batcher
        self._row_bytes = row_bytes
        self._deadline_s = deadline_s
        self._rows = 0
        rows = int(declared_bytes // row_bytes)
        if batcher.is_sliced(rows):
            batcher.check_arriving(rows, deadline_s)

    def reached(self, received_bytes: int) -> None:
        """Count so many bytes in all. Raises as at once: others may have come first."""
        rows = int(received_bytes // self._row_bytes)
        if rows > self._rows and self._batcher.is_sliced(rows):
            self._batcher.check_arriving(rows - self._rows, self._deadline_s)
            self._batcher.arriving_rows += rows - self._rows
            self._rows = rows

    def close(self) -> None:
        """Count it no more."""
        self._batcher.arriving_rows -= self._rows
        self._rows = 0


class Arrivals:
    """Begins them, and learns how many bytes a row takes."""

    def __init__(self) -> None:
        self._row_bytes: dict[tuple[str, bytes, bytes], float] = {}

    def begin(
        self, model: Model, schema: Schema, dtype: str | None, request: Request, declared_bytes: int, deadline_s: float
    ) -> Arrival | None:
        """The arrival of a body. Raises `Overloaded` and `DeadlineExceeded`.

        None where it is not known how many bytes a row takes, and where there are more rows than are ever taken.
        """
        _, media, encoding = kind = self._kind(model, request)
        row_bytes = self._row_bytes.get(kind)
        if not encoding and media == RAW:
            possible = [_RAW_BYTES[each] for each in schema.raw_dtypes if dtype in (None, each)]
            row_bytes = schema.width * max(possible) if possible else None
        elif not encoding and media == NPY:
            row_bytes = schema.width * _NPY_BYTES
        if row_bytes is None or declared_bytes // row_bytes > schema.max_rows:
            return None
        return Arrival(model.batcher, row_bytes, declared_bytes, deadline_s)

    def learn(self, model: Model, request: Request, size_bytes: int, rows: int) -> None:
        """Note how many bytes a row of a large body, of ``size_bytes``, took."""
        kind = self._kind(model, request)
        self._row_bytes[kind] = max(size_bytes / rows, _FADES * self._row_bytes.get(kind, 0.0))

    @staticmethod
    def _kind(model: Model, request: Request) -> tuple[str, bytes, bytes]:
        """The model, a media type and an encoding: of these no more than are taken, or there would be no end."""
        media = request.headers.get(b"content-type", JSON).split(b";", 1)[0].strip().lower()
        encoding = request.headers.get(b"content-encoding", b"").strip().lower()
        return model.manifest.name, media if media in (RAW, NPY) else JSON, b"gzip" if encoding == b"gzip" else b""
