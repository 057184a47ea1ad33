"""The fast path: uvicorn's HTTP protocol, extended to answer predictions before ASGI begins.

On a framework's path a prediction costs more than the network: a scope, a task, six messages and a router for each
request. Here its body goes from uvicorn's parser to `Predict`, and the response from there to the socket. All other
requests are left to uvicorn and the application.

Clients send the same request line and headers again and again. A `CachedHead` keeps what was parsed from them, and a
request that begins with the same bytes, and arrives in one piece, is not parsed at all.

This module relies on what `INTERNALS` names, and a test checks that uvicorn still has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.errors import RequestError
from service.http.messages import Request, by_name
from service.http.paths import RouteMatch
from service.http.transport import cached_heads, trace_context
from service.http.transport.cached_heads import CachedHead, HeadCache
from service.http.transport.connection import BoundedProtocol
from service.http.transport.parsing import PARSER_IDLE
from service.http.transport.prediction_cycle import FastPathContext, PredictionCycle
from service.http.transport.trace_context import TRACEPARENT

# What is used of uvicorn's protocol and cycle. None of it is public, so uvicorn's version is pinned.
INTERNALS: Final = {
    HttpToolsProtocol: (
        *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"),
        *("connection_made", "data_received", "connection_lost", "resume_writing", "on_response_complete", "shutdown"),
        *("_start_asgi_task", "timeout_keep_alive_handler"),
    ),
    RequestResponseCycle: ("run_asgi", "send", "receive"),
}

_HEAD_END: Final = b"\r\n\r\n"


def protocol_factory(context: FastPathContext, heads: HeadCache | None = None) -> partial[FastPathProtocol]:
    """Return what uvicorn calls for each connection; all of them share ``heads``, which are cached by their bytes."""
    return partial(FastPathProtocol, context=context, heads={} if heads is None else heads)


class FastPathProtocol(BoundedProtocol):
    """One connection whose predictions take the fast path."""

    __slots__ = ("_context", "_heads", "_read")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        context: FastPathContext,
        heads: HeadCache,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, context=context)
        self._context = context
        self._heads = heads
        self._read = b""  # the read that is being parsed, if a request begins with it

    def data_received(self, data: bytes) -> None:
        """Start a complete request whose head is cached, or parse what arrived."""
        earlier: RequestResponseCycle | None = self.cycle
        if self.parser_state is PARSER_IDLE and (earlier is None or earlier.response_complete):
            end = data.find(_HEAD_END) + len(_HEAD_END)
            head = cached_heads.find(self._heads, data[:end])
            if head is not None and len(data) == end + head.body_bytes:
                self.keep_alive_timer.idle_since_s = None
                self.cycle = cycle = self._new_cycle(head.target, head.headers, keep_alive=True)
                cycle.start_complete(data[end:])
                return
            self._read = data
        else:
            self._read = b""
        super().data_received(data)
        if isinstance(self.cycle, PredictionCycle):
            self.cycle.refuse_now()

    def dispatch(self) -> None:
        """Begin a prediction; leave every other request to uvicorn."""
        target = self._context.table.match(self.url)
        if target is None or self.method != b"POST":
            super().dispatch()
            return
        earlier: RequestResponseCycle | None = self.cycle
        keep_alive = self.http_version != "1.0" and self.parser.should_keep_alive()
        self.cycle = cycle = self._new_cycle(target, by_name(self.headers), keep_alive=keep_alive)
        cycle.waiting_for_100_continue = self.expect_100_continue
        if earlier is None or earlier.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def feed(self, body: bytes) -> None:
        """Pass a piece of the body to the prediction, or to uvicorn."""
        if isinstance(self.cycle, PredictionCycle):
            self.cycle.feed(body)
        else:
            super().feed(body)

    def body_complete(self) -> None:
        """Tell the prediction, or uvicorn, that the body is complete; cache the head."""
        if isinstance(self.cycle, PredictionCycle):
            self._cache_head(self.cycle)
            self.cycle.body_complete()
        else:
            super().body_complete()

    def body_too_late(self) -> None:
        """Reject a prediction in its turn; before that, the server may not have read its body."""
        if isinstance(self.cycle, PredictionCycle) and self.cycle is self.current:
            self.cycle.reject(self.limits.body_too_late())
        else:
            super().body_too_late()

    def reject_body(self, error: RequestError) -> None:
        """Reject the request whose body is being parsed."""
        if isinstance(self.cycle, PredictionCycle):
            self.cycle.reject(error)
        else:
            super().reject_body(error)

    def on_disconnect(self, cycle: RequestResponseCycle) -> None:
        """Tell a request that its client is gone."""
        if isinstance(cycle, PredictionCycle):
            cycle.on_disconnect()
        else:
            super().on_disconnect(cycle)

    def _new_cycle(self, target: RouteMatch, headers: Mapping[bytes, bytes], *, keep_alive: bool) -> PredictionCycle:
        context = self._context
        record = context.tracker.begin("POST", target.path, context.ids.of(headers.get(b"x-request-id")))
        record.route = target.route
        if TRACEPARENT in headers:
            trace_context.note(record, headers)
        record.client = self.peer if context.proxies is None else self.client_of(headers)
        request = Request(target.model, target.version, target.query, headers, b"")
        return PredictionCycle(self, context, target.protocol, request, record, keep_alive=keep_alive)

    def _cache_head(self, cycle: PredictionCycle) -> None:
        """Cache the head of a request that was one read."""
        data, self._read = self._read, b""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if not data or not cycle.keep_alive or not cycle.has_received(data[end:]):
            return
        target = self._context.table.match(self.url)
        if target is not None:
            cached_heads.keep(self._heads, data[:end], CachedHead(target, cycle.headers, len(data) - end))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if isinstance(cycle, PredictionCycle):
            self.receive_timer.restart_if_running()
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)
