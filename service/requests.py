"""What is known of a finished request, and telling it to metrics and log, many requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

# How long a finished request may wait to be told, and how many of them: telling them must not hold up a turn.
TELL_WITHIN_S: Final = 0.01
FLUSH_BATCH: Final = 128


class RequestRecord:
    """One request, filled in on its way. Times are seconds; a stage that did not happen took 0."""

    # Defaults on the class: one is made for each request, and only what it comes to is set.
    route: str = "unmatched"
    status: int = 0
    problem: str = ""
    model: str = ""
    version: int = 0
    rows: int = 0
    decode_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    encode_s: float = 0.0
    duration_s: float = 0.0

    def __init__(self, method: str, path: str, request_id: str, started_s: float) -> None:
        self.method = method
        self.path = path
        self.request_id = request_id
        self.started_s = started_s


class Sink(Protocol):
    """Someone who wants to know of finished requests."""

    def __call__(self, records: Sequence[RequestRecord], /) -> None:
        """Take what finished since the last time."""


class RequestTracker:
    """Gathers finished requests and hands them to its sinks together, which costs less than one by one.

    They wait `TELL_WITHIN_S` at most. ``in_flight`` is told as often how many requests are open; ``clock`` gives the
    seconds that records are told in.
    """

    def __init__(self, sinks: Sequence[Sink], in_flight: Callable[[int], None], clock: Callable[[], float]) -> None:
        self._sinks = tuple(sinks)
        self._in_flight = in_flight
        self._clock = clock
        self._open = 0
        self._finished: list[RequestRecord] = []
        self._tell_soon: asyncio.Handle | None = None

    def begin(self, method: str, path: str, request_id: str) -> RequestRecord:
        """A record for a request whose headers are there."""
        self._open += 1
        if self._tell_soon is None:
            self._schedule()
        return RequestRecord(method, path, request_id, self._clock())

    def finish(self, record: RequestRecord, status: int) -> None:
        """Note that the answer to a request was handed to the connection."""
        record.status = status
        record.duration_s = self._clock() - record.started_s
        self._open -= 1
        self._finished.append(record)
        if self._tell_soon is None or len(self._finished) == FLUSH_BATCH:
            self._schedule()

    def abandon(self) -> None:
        """Note that a request ended without an answer: its client is gone."""
        self._open -= 1
        if self._tell_soon is None:
            self._schedule()

    def flush(self) -> None:
        """Tell the sinks now: for one who asks what they know, and at shutdown, when it is not done later."""
        finished, self._finished = self._finished, []
        if finished:
            for reader in self._sinks:
                reader(finished)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._tell_soon is None:
            self._tell_soon = loop.call_later(TELL_WITHIN_S, self._tell)
        else:
            self._tell_soon.cancel()
            self._tell_soon = loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._tell_soon = None
        self._in_flight(self._open)
        self.flush()
