"""Counts the rows of large bodies while they arrive, so that those without room in the queue are rejected unread.

Rows are counted only if they are certain to be there. The length of a raw body gives them. For JSON and compressed
bodies, the bytes per row are known from earlier bodies of the same format.
"""

from __future__ import annotations

from typing import Final

from service.http.protocols.base import BodyFormat
from service.inference.batcher import Batcher
from service.inference.model import Model

# Smaller bodies are cheaper to decode than to count.
LARGE_BYTES: Final = 64 * 1024
# Decay per body of the largest bytes per row: one body with much white space must not count for ever.
_DECAY: Final = 0.95


class Arrival:
    """A body on its way to the large lane, counted as it arrives; `close` it when it is complete, or given up.

    ``declared_bytes`` is 0 for a chunked body, ``decode_wait_s`` how long the body will wait to be decoded. Bodies of
    few rows are not counted. Raises `Overloaded`, `QueueTooLong` or `DeadlineExceeded` at once if there is no room or
    time for the declared rows.
    """

    def __init__(
        self,
        batcher: Batcher,
        row_bytes: float,
        declared_bytes: int,
        deadline_s: float,
        decode_wait_s: float = 0.0,
    ) -> None:
        self._batcher = batcher
        self._row_bytes = row_bytes
        self._deadline_s = deadline_s
        self._decode_wait_s = decode_wait_s
        self._rows = 0
        rows = int(declared_bytes // row_bytes)
        if batcher.is_sliced(rows):
            batcher.check_arriving(rows, deadline_s, decode_wait_s)

    def reached(self, received_bytes: int) -> None:
        """Count the bytes received so far. Raises as above, since others may have arrived first."""
        rows = int(received_bytes // self._row_bytes)
        if rows > self._rows and self._batcher.is_sliced(rows):
            self._batcher.check_arriving(rows - self._rows, self._deadline_s, self._decode_wait_s, self._rows)
            self._batcher.arriving_rows += rows - self._rows
            self._rows = rows

    def close(self) -> None:
        """Stop counting it."""
        self._batcher.arriving_rows -= self._rows
        self._rows = 0


def begin(
    model: Model, body: BodyFormat, declared_bytes: int, deadline_s: float, decode_wait_s: float = 0.0
) -> Arrival | None:
    """Start counting a body. Raises `Overloaded`, `QueueTooLong` and `DeadlineExceeded`.

    Returns None if the bytes per row are unknown, or if there are more rows than a request may have.
    """
    row_bytes = _row_bytes(model, body)
    if row_bytes is None or declared_bytes // row_bytes > model.schema.max_rows:
        return None
    return Arrival(model.batcher, row_bytes, declared_bytes, deadline_s, decode_wait_s)


def check_wait(model: Model, body: BodyFormat, size_bytes: int, decode_wait_s: float) -> None:
    """Raise `QueueTooLong` if a body of ``size_bytes``, which waits ``decode_wait_s`` first, would wait too long."""
    row_bytes = _row_bytes(model, body)
    model.batcher.check_wait(1 if row_bytes is None else int(size_bytes // row_bytes), decode_wait_s)


def learn(model: Model, body: BodyFormat, size_bytes: int, rows: int) -> None:
    """Note how many bytes each of the ``rows`` of a large body took."""
    model.row_bytes[body.name] = max(size_bytes / rows, _DECAY * model.row_bytes.get(body.name, 0.0))


def _row_bytes(model: Model, body: BodyFormat) -> float | None:
    return model.row_bytes.get(body.name) if body.row_bytes is None else body.row_bytes
