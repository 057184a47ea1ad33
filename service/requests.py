"""Records of finished requests, handed to metrics and log in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from service.imputed import Imputed

# How long and how many finished requests wait for the sinks. Small batches do not hold up the event loop.
FLUSH_WITHIN_S: Final = 0.01
FLUSH_BATCH: Final = 128
# The route of a request for a path that the server does not have.
UNMATCHED: Final = "unmatched"


@dataclass(slots=True)
class RequestRecord:
    """One request, filled in as it is processed. Durations are in seconds, and 0 for stages that did not happen.

    ``trace_id`` is empty if the request belongs to no trace; ``sampled`` is whether the trace is recorded. Its ids are
    in lower-case hexadecimal: ``parent_span_id`` is the caller's, ``span_id`` that of the request's own span, if there
    is one. Of a prediction, ``decode_at_s``, ``inference_at_s`` and ``encode_at_s`` are when the stages began, on the
    clock of ``started_s``, and ``batch_rows`` is the rows of the largest call that ran its rows. ``rpc_status`` is the
    name of an RPC's status.

    It has slots, as CPython gives objects with so many attributes, set at different times, a dictionary each.
    """

    method: str
    path: str
    request_id: str
    started_s: float
    route: str = UNMATCHED
    status: int = 0
    problem: str = ""
    model: str = ""
    version: int = 0
    rows: int = 0
    imputed: Imputed | None = None
    client: str = ""  # its address
    key: str = ""  # the name of its API key
    take_rows: Callable[[int], None] | None = None  # counts rows for the key's limit
    decode_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    encode_s: float = 0.0
    duration_s: float = 0.0
    trace_id: str = ""
    sampled: bool = False
    parent_span_id: str = ""
    span_id: str = ""
    tracestate: str = ""
    decode_at_s: float = 0.0
    inference_at_s: float = 0.0
    encode_at_s: float = 0.0
    batch_rows: int = 0
    rpc_status: str = ""


class Sink(Protocol):
    """A receiver of finished requests."""

    def __call__(self, records: Sequence[RequestRecord], /) -> None:
        """Take the requests that finished since the last call."""


class RequestTracker:
    """Collects finished requests and hands them to the sinks in batches, at most `FLUSH_WITHIN_S` later.

    ``connections`` is the number of open connections.

    Parameters
    ----------
    sinks
        Called with each batch.
    in_flight
        Called with the number of open requests, as often, and after a connection was opened or closed.
    clock
        Returns the time in seconds.
    """

    def __init__(self, sinks: Sequence[Sink], in_flight: Callable[[int], None], clock: Callable[[], float]) -> None:
        self._sinks = tuple(sinks)
        self._in_flight = in_flight
        self._clock = clock
        self.connections = 0
        self._open = 0
        self._finished: list[RequestRecord] = []
        self._scheduled: asyncio.Handle | None = None

    def begin(self, method: str, path: str, request_id: str) -> RequestRecord:
        """A record for a request whose headers have arrived."""
        self._open += 1
        if self._scheduled is None:
            self._schedule()
        return RequestRecord(method, path, request_id, self._clock())

    def finish(self, record: RequestRecord, status: int) -> None:
        """Note that the response was handed to the connection."""
        record.status = status
        record.duration_s = self._clock() - record.started_s
        self._open -= 1
        self._finished.append(record)
        if self._scheduled is None or len(self._finished) == FLUSH_BATCH:
            self._schedule()

    def abandon(self) -> None:
        """Note that a request ended without a response, because its client is gone."""
        self._open -= 1
        if self._scheduled is None:
            self._schedule()

    def connection_made(self) -> None:
        """Note a new connection."""
        self.connections += 1
        if self._scheduled is None:
            self._schedule()

    def connection_lost(self) -> None:
        """Note that a connection was closed."""
        self.connections -= 1
        if self._scheduled is None:
            self._schedule()

    def flush(self) -> None:
        """Hand over all finished requests now, for a scrape and at shutdown."""
        finished, self._finished = self._finished, []
        if finished:
            for sink in self._sinks:
                sink(finished)

    def report(self) -> None:
        """Hand over the number of open requests and all finished ones. The event loop calls it after a change."""
        self._scheduled = None
        self._in_flight(self._open)
        self.flush()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._scheduled is None:
            self._scheduled = loop.call_later(FLUSH_WITHIN_S, self.report)
        else:
            self._scheduled.cancel()
            self._scheduled = loop.call_soon(self.report)
