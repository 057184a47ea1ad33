"""uvicorn's HTTP protocol with limits on what uvicorn leaves unlimited: the bytes of a request, and how long they take.

The first request is waited for no longer than a later one, and a request has to arrive in time. Pipelined requests are
parsed one small piece at a time, and no further than the first that has to wait for its turn. A rejected request gets a
problem document in its turn, and counts in metrics and log like every other request.

A client that ends its side of the connection may still listen, so it is answered; one that resets it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from service.errors import RequestError
from service.http import problems
from service.http.limits import BodyBudget, Limits
from service.http.messages import Response, by_name
from service.http.transport import trace_context
from service.http.transport.closing import ClosingTransport
from service.http.transport.cors import Cors
from service.http.transport.flow import ReadFlow
from service.http.transport.lifetime import Lifetime
from service.http.transport.middleware import IS_LAST, KEPT, REJECTION
from service.http.transport.parsing import PARSER_BODY, PARSER_HEAD, PARSER_IDLE, PARSER_STOPPED, ParsingProtocol
from service.http.transport.proxies import FORWARDED_FOR, TrustedProxies, plain
from service.http.transport.request_ids import RequestIds
from service.http.transport.responses import ResponseEncoder
from service.http.transport.timers import KeepAliveTimer, ReceiveTimer
from service.requests import RequestRecord, RequestTracker

# A connection that should be closed answers the requests that have already arrived, up to this many.
_MAX_LATE_RESPONSES: Final = 100


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What all connections share."""

    tracker: RequestTracker
    ids: RequestIds
    limits: Limits
    budget: BodyBudget
    encoder: ResponseEncoder = field(default_factory=ResponseEncoder, kw_only=True)
    lifetime: Lifetime = field(default=Lifetime(), kw_only=True)
    proxies: TrustedProxies | None = field(default=None, kw_only=True)
    cors: Cors | None = field(default=None, kw_only=True)


class BoundedProtocol(ParsingProtocol):
    """One connection: answers its requests in order.

    ``cycle`` is uvicorn's name for the request that was parsed last; ``current`` is the one whose turn it is.
    ``responses_left`` is how many responses there are until the connection closes.
    """

    __slots__ = (
        *("_age_timer", "_buffered_bytes", "_client_has_ended", "_cors", "_encoder", "_ids", "_is_advancing"),
        *("_lifetime", "_proxies", "budget", "current", "on_writable", "peer", "read_flow", "responses_left"),
        "tracker",
    )

    read_flow: ReadFlow

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        context: ConnectionContext,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, limits=context.limits)
        self.budget = context.budget
        self.tracker = context.tracker
        self._ids = context.ids
        self._encoder = context.encoder
        self._lifetime = context.lifetime
        self._proxies = context.proxies
        self._cors = context.cors
        self.peer = ""
        self.responses_left = context.lifetime.requests()
        self._age_timer: asyncio.TimerHandle | None = None
        self.current: RequestResponseCycle | None = None
        # Called once the client has read what was written, so that unread responses do not pile up.
        self.on_writable: Callable[[], None] | None = None
        self._is_advancing = False
        self._client_has_ended = False
        self._buffered_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request no longer than for a later one."""
        self.closing = ClosingTransport(transport, self.loop, self._may_still_send, self.limits.max_request_bytes)
        super().connection_made(cast("asyncio.Transport", self.closing))
        self.tracker.connection_made()
        self.peer = plain(self.client[0]) if self.client else ""
        self.flow = self.read_flow = ReadFlow(self.transport)
        self.keep_alive_timer = KeepAliveTimer(self.loop, self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.receive_timer = ReceiveTimer(self.loop, self.limits.receive_timeout_s, self._on_receive_timeout)
        self.keep_alive_timer.start()
        if age_s := self._lifetime.age_s():
            self._age_timer = self.loop.call_later(age_s, self._on_max_age)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and start the next request."""
        if self.closing.is_lingering:
            self.closing.discard(len(data))
        elif self.parser_state is not PARSER_STOPPED:
            self._unparsed = b"".join((self._unparsed, data)) if self._unparsed else data
            self.advance()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what the client sent before it ended its side; True keeps the connection open for that.

        TLS closes a connection whose client ended its side.
        """
        self._client_has_ended = True
        if self.closing.is_lingering:
            self.closing.close_now()
        self.advance()
        return self.closing.can_half_close and not self.closing.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every unanswered request, where uvicorn tells only the last; cancel the timers, and break the cycles."""
        for cycle in (self.current, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                self.on_disconnect(cycle)
        self.keep_alive_timer.stop()
        if self._age_timer is not None:
            self._age_timer.cancel()
        self.closing.stop()
        super().connection_lost(exc)
        self.tracker.connection_lost()
        self._stop_parsing()
        self.receive_timer.stop()
        # Objects that refer to each other would stay in memory until the garbage collector runs.
        self.pipeline.clear()
        self.on_writable = None
        self.current = self.cycle = self.scope = self.headers = None  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.closing.close_requested:
            self._stop_parsing()
            return
        if self.parser_state is PARSER_IDLE and not self.pipeline:
            self.keep_alive_timer.start()
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline or self._unparsed or self._client_has_ended:
            self.advance()

    def resume_writing(self) -> None:
        """Go on with the request that waits for the client to read."""
        super().resume_writing()
        on_writable, self.on_writable = self.on_writable, None
        if on_writable is not None:
            on_writable()

    def advance(self) -> None:
        """Parse the unparsed bytes and start the next requests, until one has to wait for its turn."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while not self.closing.close_requested:
                if self.pipeline:
                    if not _is_answered(self.current):
                        break
                    self._start_asgi_task(*self.pipeline.pop())
                elif self._unparsed:
                    error = self.parse_piece()
                    if error is not None:
                        self.reject(error)
                else:
                    break
        finally:
            self._is_advancing = False
        if self.closing.close_requested:
            self._stop_parsing()
        elif self._client_has_ended and not self._owes_response():
            self.transport.close()
        else:
            self._wait_for_bytes()

    def on_disconnect(self, cycle: RequestResponseCycle) -> None:
        """Tell a request that its client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    def reject(self, error: RequestError) -> None:
        """Answer the request that is being parsed, or the next one, with ``error`` in its turn; then close.

        Earlier requests are answered first, and nothing later is parsed. A request that has been answered while its
        body is still arriving gets no second response.
        """
        state, self.parser_state = self.parser_state, PARSER_STOPPED
        self._unparsed = b""
        cycle = self.cycle
        if state is PARSER_STOPPED:
            return
        if state is not PARSER_BODY:
            path = self.url.split(b"?", 1)[0].decode("latin-1") if self.method else ""
            headers = by_name(self.headers) if self.method else {}
            self.cycle = rejected = RejectedCycle(error, self.method.decode("ascii"), path, headers)
            self.pipeline.appendleft((rejected, self.app))
        elif _is_answered(cycle):
            self.transport.close()
        else:
            cycle.keep_alive = False
            self.reject_body(error)
        self.advance()

    def reject_body(self, error: RequestError) -> None:
        """Reject the request whose body is being parsed: the middleware raises ``error`` where the body is read."""
        self.cycle.scope["state"][REJECTION] = error
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def body_too_late(self) -> None:
        """Handle a body that did not arrive in time; on the FastAPI routes the middleware does, with its own timer."""
        self.receive_timer.restart()

    def write(self, response: Response, record: RequestRecord, *, keep_alive: bool) -> None:
        """Send a response, and finish its record."""
        self.transport.write(
            self._encoder.encode(
                response,
                record.request_id,
                self.server_state.default_headers,
                keep_alive=keep_alive,
                has_body=record.method != "HEAD",
            )
        )
        self.tracker.finish(record, response.status)

    def client_of(self, headers: Mapping[bytes, bytes]) -> str:
        """The address of the client that sent a request with these headers; empty on a Unix socket."""
        return self.peer if self._proxies is None else self._proxies.client(self.peer, headers.get(FORWARDED_FOR))

    def is_last_response(self) -> bool:
        """Whether the connection closes after the response that ``responses_left`` counted last.

        Not while later requests have arrived: they would be lost.
        """
        if self.responses_left > 0:
            return False
        has_more = self.pipeline or self._unparsed or self.parser_state is not PARSER_IDLE
        return not has_more or self.responses_left < -_MAX_LATE_RESPONSES

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return _is_answered(self.cycle) and self.parser_state is not PARSER_HEAD and not self._unparsed

    @property
    def fileno(self) -> int:
        """The connection's file descriptor."""
        descriptor: int = self.transport.get_extra_info("socket").fileno()
        return descriptor

    def give_up(self, error: RequestError) -> None:
        """Reject an incomplete request with ``error``; close an idle connection."""
        if self.is_idle:
            self.transport.close()
        elif self.parser_state is PARSER_IDLE:
            self.cycle.keep_alive = False
            self._stop_parsing()
        else:
            self.reject(error)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.current = cycle
        self.receive_timer.restart_if_running()
        if isinstance(cycle, RejectedCycle):
            self._send_rejection(cycle)
        else:
            cycle.scope["state"][IS_LAST] = partial(self._count_response, keeps=cycle.keep_alive)
            cycle.scope["state"][KEPT] = self._encoder.kept
            super()._start_asgi_task(cycle, app)

    def _count_response(self, *, keeps: bool) -> bool:
        self.responses_left -= 1
        return not keeps or self.is_last_response()

    def _on_max_age(self) -> None:
        """Close after the next response. An idle connection waits for one, as its client may be sending a request."""
        self.responses_left = min(self.responses_left, 1)

    def _send_rejection(self, cycle: RejectedCycle) -> None:
        headers = cycle.headers
        record = self.tracker.begin(cycle.method, cycle.path, self._ids.of(headers.get(b"x-request-id")))
        trace_context.note(record, headers)
        record.client = self.client_of(headers)
        record.problem = problems.name_of(cycle.error)
        cycle.response_complete = True
        response = problems.response(cycle.error, record.request_id)
        if self._cors is not None:
            response = self._cors.added(response, headers.get(b"origin"))
        self.write(response, record, keep_alive=False)
        self.transport.close()

    def _wait_for_bytes(self) -> None:
        """Read on unless a request waits for its turn; time a request that is arriving, and count what is buffered."""
        if self.pipeline or self._unparsed or self.parser_state is PARSER_STOPPED:
            self.read_flow.block_reading()
        elif self.read_flow.is_blocked:
            self.read_flow.unblock_reading()
        buffered_bytes = len(self._unparsed)
        if self.parser_state is PARSER_HEAD or self.parser_state is PARSER_BODY:
            self.receive_timer.ensure_started()
            buffered_bytes += self._head_bytes
        else:
            self.receive_timer.cancel()
        if buffered_bytes != self._buffered_bytes:
            self._set_buffered(buffered_bytes)

    def _set_buffered(self, size_bytes: int) -> None:
        """Count the connection's unparsed bytes and head in the budget; a connection that exceeds it is rejected."""
        more_bytes, self._buffered_bytes = size_bytes - self._buffered_bytes, size_bytes
        if more_bytes < 0:
            self.budget.release(-more_bytes)
            return
        try:
            self.budget.acquire(more_bytes)
        except RequestError as error:
            self._buffered_bytes -= more_bytes
            self.reject(error.with_traceback(None))

    def _stop_parsing(self) -> None:
        self.parser_state = PARSER_STOPPED
        self._unparsed = b""
        self._set_buffered(0)
        self.receive_timer.cancel()

    def _on_receive_timeout(self) -> None:
        if self.closing.is_closing():
            return
        if self.read_flow.is_blocked:  # the server did not read
            self.receive_timer.restart()
        elif self.parser_state is PARSER_HEAD:
            self.reject(self.limits.head_too_late())
        elif _is_answered(self.cycle):  # the client had this long to read the response
            self.closing.close_now()
        else:
            self.body_too_late()

    def _owes_response(self) -> bool:
        """Whether a client that sends no more still gets a response; an incomplete request gets none."""
        if self.pipeline or self._unparsed:
            return True
        return not _is_answered(self.current) and self.parser_state is not PARSER_BODY

    def _may_still_send(self) -> bool:
        """Whether the client is within a request, has sent more of them than are answered, or expects to send more."""
        if self._client_has_ended:
            return False
        return self.responses_left <= 0 or self.parser_state is not PARSER_IDLE or bool(self.pipeline or self._unparsed)


class RejectedCycle(RequestResponseCycle):
    """A request that was rejected before its body, in the place of uvicorn's cycle: the last of its connection."""

    message_event = asyncio.Event()  # never awaited
    keep_alive = False
    disconnected = False
    response_complete = False

    def __init__(self, error: RequestError, method: str, path: str, headers: Mapping[bytes, bytes]) -> None:
        self.error = error
        self.method = method
        self.path = path
        self.headers = headers


def _is_answered(cycle: RequestResponseCycle | None) -> bool:
    return cycle is None or cycle.response_complete
