"""One prediction on a connection of the fast path, from its head to its response."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.errors import RequestError
from service.http import problems
from service.http.admission import LARGE_BYTES, Arrival
from service.http.limits import BodyCounter
from service.http.messages import Request, Response
from service.http.paths import AnyProtocol, RouteTable
from service.http.predict import Pending, Predict
from service.http.transport.compression import Compression
from service.http.transport.connection import BoundedProtocol, ConnectionContext
from service.keys.access import Access
from service.lifecycle import Lifecycle
from service.requests import RequestRecord

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class FastPathContext(ConnectionContext):
    """What all connections of the fast path share."""

    predict: Predict
    lifecycle: Lifecycle
    table: RouteTable
    access: Access | None = field(default=None, kw_only=True)
    compression: Compression | None = field(default=None, kw_only=True)


class CycleState(Enum):
    """What a prediction waits for."""

    QUEUED = "earlier requests are unanswered; the body is arriving"
    QUEUED_COMPLETE = "earlier requests are unanswered; the body is complete"
    QUEUED_REJECTED = "earlier requests are unanswered; the body is rejected"
    RECEIVING = "it is the request's turn; the body is arriving"
    REJECTED = "it is the request's turn; the rejection is sent in the next turn of the event loop"
    RUNNING = "`Predict` works on it"
    DONE = "it is answered, or its client is gone"


# Module globals, as members of an Enum are slow to look up.
_QUEUED, _QUEUED_COMPLETE = CycleState.QUEUED, CycleState.QUEUED_COMPLETE
_QUEUED_REJECTED, _REJECTED = CycleState.QUEUED_REJECTED, CycleState.REJECTED
_RECEIVING, _RUNNING, _DONE = CycleState.RECEIVING, CycleState.RUNNING, CycleState.DONE


class PredictionCycle(RequestResponseCycle):
    """Stands in the place of uvicorn's cycle, and has those of its attributes that uvicorn's protocol uses.

    ``response_complete`` is set once there is room for the next response, which may be later than `CycleState.DONE`.
    """

    __slots__ = (
        *("_arrival", "_body", "_context", "_counter", "_pending", "_protocol", "_record", "_rejection", "_request"),
        *("_wire_protocol", "disconnected", "keep_alive", "response_complete", "state", "waiting_for_100_continue"),
    )

    message_event = asyncio.Event()  # never awaited, so all share one

    def __init__(
        self,
        protocol: BoundedProtocol,
        context: FastPathContext,
        wire_protocol: AnyProtocol,
        request: Request,
        record: RequestRecord,
        *,
        keep_alive: bool,
    ) -> None:
        self.keep_alive = keep_alive
        self._protocol = protocol
        self._context = context
        self._wire_protocol = wire_protocol
        self._request = request
        self._record = record
        self.state = _QUEUED
        self.waiting_for_100_continue = False
        self.disconnected = False
        self.response_complete = False
        self._body: bytes | bytearray = b""
        self._counter: BodyCounter | None = None
        self._arrival: Arrival | None = None
        self._rejection: RequestError | None = None
        self._pending: Pending | None = None

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The request's headers by lower-case name."""
        return self._request.headers

    def start(self) -> None:
        """Begin, now that all earlier requests of the connection are answered."""
        queued, self.state = self.state, _RECEIVING
        self._protocol.current = self
        access = self._context.access
        if access is not None and not self._is_admitted(access):
            return
        declared_bytes = self._declared_bytes()
        try:
            self._context.limits.check_declared(declared_bytes)
            if declared_bytes > LARGE_BYTES and queued is _QUEUED:
                self._count_rows()
        except RequestError as error:
            self.reject(error)
            return
        if self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self._protocol.transport.write(_CONTINUE)
        if self._rejection is not None:
            self.reject(self._rejection)
        elif queued is _QUEUED_COMPLETE:
            self._run_body()

    def start_complete(self, body: bytes) -> None:
        """Begin with the complete body; all earlier requests of the connection are answered."""
        self._protocol.current = self
        if self._context.access is None or self._is_admitted(self._context.access):
            self._run(body, None)

    def feed(self, data: bytes) -> None:
        """Add a piece to the body; what follows a rejection is ignored."""
        if self.state is not _RECEIVING and self.state is not _QUEUED:
            return
        if self._counter is None:
            self._counter = BodyCounter(self._context.limits, self._context.budget)
        try:
            self._counter.add(len(data))
            if self._counter.received_bytes > LARGE_BYTES:
                self._count_rows()
        except RequestError as error:
            self.reject(error)
            return
        if not self._body:
            self._body = data
        else:  # as separate objects, many small pieces would take many times their size
            self._body = self._body if isinstance(self._body, bytearray) else bytearray(self._body)
            self._body += data

    def body_complete(self) -> None:
        """Run the prediction, or queue it."""
        if self.state is _RECEIVING:
            self._run_body()
        elif self.state is _QUEUED:
            self.state = _QUEUED_COMPLETE

    def reject(self, error: RequestError) -> None:
        """Answer with ``error`` in turn, and ignore the rest of the body; only the first error counts.

        The response is not sent at once: an error later in the same bytes decides whether the connection is kept.
        """
        self._rejection = self._rejection or error.with_traceback(None)  # its frames refer to this cycle
        self._release_body()
        if self.state is _RECEIVING:
            self.state = _REJECTED
            self._protocol.loop.call_soon(self._send_rejection)
        elif self.state is _QUEUED or self.state is _QUEUED_COMPLETE:
            self.state = _QUEUED_REJECTED

    def refuse_now(self) -> None:
        """Send a rejection before the turn ends, if too much of the body is to come for the connection to be kept."""
        if self.state is _REJECTED and self._protocol.is_far_from_complete:
            self._send_rejection()

    def has_received(self, body: bytes) -> bool:
        """Whether exactly ``body`` has arrived so far."""
        return self.state is _RECEIVING and self._body == body

    def on_disconnect(self) -> None:
        """Cancel the prediction, as its client is gone."""
        self.disconnected = True
        self._release_body()
        if self._pending is not None:
            self._pending.cancel()
        if self.state is not _DONE:
            self.state = _DONE
            self._context.tracker.abandon()

    def _is_admitted(self, access: Access) -> bool:
        """Whether the request's key allows it; it is rejected if not, before its body is read."""
        try:
            access.admit(self._request.headers, self._record)
        except RequestError as error:
            self.state = _RECEIVING
            self._rejection = None  # what else is wrong is none of the client's business
            self.reject(error)
            return False
        return True

    def _finish(self) -> None:
        """Make room for the next response."""
        self.response_complete = True
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()

    def _send_rejection(self) -> None:
        if self._rejection is not None and self.state is _REJECTED:
            self._context.predict.identify(self._request, self._record)
            self._record.problem = problems.name_of(self._rejection)
            if self._protocol.cycle is self and self._protocol.is_far_from_complete:
                self.keep_alive = False
            self._reply(self._wire_protocol.error(self._rejection, self._record.request_id))

    def _run_body(self) -> None:
        body, arrival, self._arrival = bytes(self._body), self._arrival, None
        self._release_body()
        self._run(body, arrival)

    def _run(self, body: bytes, arrival: Arrival | None) -> None:
        self.state = _RUNNING
        self._request.body = body
        self._pending = self._context.predict(self._wire_protocol, self._request, self._record, self._reply, arrival)
        self._request.body = b""  # the queue has its rows, and a limit of its own

    def _declared_bytes(self) -> int:
        return int(self._request.headers.get(b"content-length", 0))

    def _count_rows(self) -> None:
        """Count the rows of a large body that have arrived. Raises `Overloaded` if the queue has no room for them."""
        if self._arrival is None:
            self._arrival = self._context.predict.arrive(
                self._wire_protocol, self._request, self._record, self._declared_bytes()
            )
        if self._arrival is not None:
            self._arrival.reached(0 if self._counter is None else self._counter.received_bytes)

    def _release_body(self) -> None:
        if self._arrival is not None:
            self._arrival.close()
            self._arrival = None
        self._body = b""
        if self._counter is not None:
            self._counter.release()

    def _reply(self, response: Response) -> None:
        context = self._context
        if context.compression is not None and context.compression.concerns(response):
            found = context.compression.negotiated(response, self._request.headers.get(b"accept-encoding"))
            if not isinstance(found, Response):
                self._pending = None
                found.add_done_callback(self._reply_compressed)
                return
            response = found
        if context.cors is not None:
            response = context.cors.added(response, self._request.headers.get(b"origin"))
        self.state = _DONE
        protocol = self._protocol
        closes = problems.CLOSE in response.headers or self.waiting_for_100_continue
        protocol.responses_left -= 1
        closes = closes or (protocol.responses_left <= 0 and protocol.is_last_response())
        if closes or context.lifecycle.draining:
            self.keep_alive = False
        protocol.write(response, self._record, keep_alive=self.keep_alive)
        if protocol.flow.write_paused:
            protocol.on_writable = self._finish
        else:
            self._finish()

    def _reply_compressed(self, compressed: asyncio.Future[Response]) -> None:
        if self.state is not _DONE:  # its client may be gone
            self._reply(compressed.result())
