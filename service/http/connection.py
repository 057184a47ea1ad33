"""uvicorn's HTTP protocol, with bounds on what it leaves unbounded: how long a request takes to arrive, and its head.

uvicorn times a connection between two requests alone. Here the first request is waited for no longer than a later one,
a request once begun is timed until it is whole, and its headers do not pile up in memory. Bytes that are no HTTP get a
problem document, and count in metrics and log, like every other request that is refused.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import RequestError
from service.http import problems
from service.http.guard import Bounds, RequestIds
from service.http.messages import Response
from service.journal import Journal, Record

_CLOSE: Final = b"connection: close\r\n"
# A request that was answered before so much of its body was read is read on after a pause: whoever sends all of it
# nevertheless, and then asks again, is slowed down before a refusal costs as much as an answer.
_LARGE_REST_BYTES: Final = 128 * 1024
_PAUSE_S: Final = 1.0


def protocol_of(journal: Journal, ids: RequestIds, bounds: Bounds) -> type[HttpToolsProtocol]:
    """The protocol class to give to uvicorn as its ``http``, for a service without the express door."""
    return type("Bounded", (BoundedProtocol,), {"journal": journal, "ids": ids, "bounds": bounds})


class BoundedProtocol(HttpToolsProtocol):
    """One connection; a subclass is given ``journal``, ``ids`` and ``bounds``.

    ``current`` is the request whose turn it is, while uvicorn's ``cycle`` is the one read last.
    """

    journal: ClassVar[Journal]
    ids: ClassVar[RequestIds]
    bounds: ClassVar[Bounds]
    current: RequestResponseCycle | None = None
    between = True  # the parser is surely not inside a request
    rest: asyncio.TimerHandle | None = None  # runs while more of a request is to come
    _idle_from_s: float | None = None  # since when no request is under way
    _in_head = False
    _begun: list[tuple[bytes, bytes]] | None = None
    _begun_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request no longer than for a later one."""
        super().connection_made(transport)
        self._await_request()

    def on_message_begin(self) -> None:
        """Note that the parser is in a request."""
        self.between = False
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is whole, after what is done with it."""
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        """Note that the request is whole, before what is done with it."""
        self.between = not self.parser.should_upgrade()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a request of which more is to come is timed and measured."""
        super().data_received(data)
        if not self.between:
            self._measure(len(data))
        elif self.rest is not None:
            self.rest.cancel()
            self.rest = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more, and write no more; uvicorn tells it the request read last, and no other."""
        if self.rest is not None:
            self.rest.cancel()
        for cycle in (self.current, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                self.abandon(cycle)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one: as uvicorn does, which makes and cancels a timer each time."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not self.between and self._is_answered() and self._rest_bytes() > _LARGE_REST_BYTES:
            self.flow.pause_reading()
            self.loop.call_later(min(_PAUSE_S, self.bounds.receive_timeout_s / 2), self.flow.resume_reading)
        else:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._await_request()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that waited for a request all the time; one that did not is looked at again later."""
        self.timeout_keep_alive_task = None
        if self._idle_from_s is None:
            return
        left_s = self._idle_from_s + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)

    def _await_request(self) -> None:
        self._idle_from_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _unset_keepalive_if_required(self) -> None:
        self._idle_from_s = None  # the timer runs on, and will see it

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Refuse bytes that are no HTTP."""
        self._refuse(self.bounds.not_http())

    def abandon(self, cycle: RequestResponseCycle) -> None:
        """Tell a request that its client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    def wait_for_rest(self) -> None:
        """Begin to count the time for what is still to come, anew."""
        if self.rest is not None:
            self.rest.cancel()
        self.rest = self.loop.call_later(self.bounds.receive_timeout_s, self._too_late)

    def body_too_late(self) -> None:
        """The body of a request that is not answered yet did not come; what ASGI reads, the guard times itself."""
        self.wait_for_rest()

    def refuse_body(self, error: RequestError) -> None:
        """Refuse the request that is not answered yet for a body that is none."""
        if not self.cycle.response_started:
            self._refuse_now(error)
        self.transport.close()

    def write(self, response: Response, record: Record, *, keep_alive: bool) -> None:
        """Send an answer, and enter it in the journal."""
        self.transport.write(
            b"%bcontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b"
            % (
                _opening(response.status, tuple(self.server_state.default_headers)),
                len(response.body),
                _lines(response.headers),
                record.request_id.encode(),
                b"" if keep_alive or problems.CLOSE in response.headers else _CLOSE,
                response.body,
            )
        )
        self.journal.finish(record, response.status)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._is_answered() and not self._in_head

    @property
    def fileno(self) -> int:
        """The connection's file descriptor."""
        descriptor: int = self.transport.get_extra_info("socket").fileno()
        return descriptor

    def give_up(self, error: RequestError) -> None:
        """Wait no longer for what is not whole: refuse it so; close a connection on which no request is under way."""
        if self.is_idle:
            self.transport.close()
        else:
            self._refuse(error)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.current = cycle
        super()._start_asgi_task(cycle, app)

    def _rest_bytes(self) -> int:
        """How much of the request that is being read is surely still to come."""
        declared_bytes = int(dict(self.headers).get(b"content-length", 0))
        return declared_bytes - (self._begun_bytes if self._begun is self.headers else 0)

    def _measure(self, size_bytes: int) -> None:
        # uvicorn makes a new list for each request's headers.
        if self._begun is not self.headers:
            self._begun, self._begun_bytes = self.headers, 0
            self.wait_for_rest()
        self._begun_bytes += size_bytes
        if self._in_head and self._begun_bytes > self.bounds.max_head_bytes:
            self._refuse(self.bounds.head_too_large())
        elif self._begun_bytes > self.bounds.max_request_bytes:
            self.transport.close()

    def _too_late(self) -> None:
        self.rest = None
        if self._in_head:
            self._refuse(self.bounds.head_too_late())
        elif self._is_answered():  # what was refused was read on for so long that its sender could read the refusal
            self.transport.close()
        else:
            self.body_too_late()

    def _refuse(self, error: RequestError) -> None:
        """Answer no more requests than those whose heads are there, and close the connection."""
        if self.transport.is_closing():
            return
        if self._is_answered():
            self._refuse_now(error)
            self.transport.close()
        elif self._in_head or self.between:  # what is not answered yet are earlier requests
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        else:
            self.refuse_body(error)

    def _refuse_now(self, error: RequestError) -> None:
        record = self.journal.begin("", "", self.ids.of(None))
        record.problem = problems.name_of(error)
        self.write(problems.response(error, record.request_id), record, keep_alive=False)

    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete


@lru_cache(maxsize=32)
def _opening(status: int, default_headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """An answer's first lines; the default headers change with each second's date."""
    return STATUS_LINE[status] + _lines(default_headers)


@lru_cache(maxsize=32)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
