"""The ASGI middleware around the FastAPI routes: request ids, limits on the body, records, and unexpected errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import RequestError, ServerFailed
from service.http import problems
from service.http.limits import MAX_UNREAD_BYTES, BodyBudget, BodyCounter, Limits, unread_bytes
from service.http.messages import NOSNIFF, Header, by_name
from service.http.transport import trace_context
from service.http.transport.cors import Cors
from service.http.transport.proxies import FORWARDED_FOR, TrustedProxies, plain
from service.http.transport.request_ids import RequestIds
from service.http.transport.sending import send_response
from service.http.transport.trace_context import TRACEPARENT
from service.lifecycle import Lifecycle
from service.requests import RequestRecord, RequestTracker

_log = logging.getLogger(__name__)

# The key in a request's state for the error that the connection found in its body.
REJECTION: Final = "rejection"
# The key for a function that tells, once for each response, whether the connection closes after it.
IS_LAST: Final = "is_last_response"
# The key for the headers of a response after which the connection stays open.
KEPT: Final = "kept_headers"


class Guard:
    """Answers every HTTP request that the application fails on, and records all of them."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tracker: RequestTracker,
        lifecycle: Lifecycle,
        ids: RequestIds,
        limits: Limits,
        budget: BodyBudget,
        proxies: TrustedProxies | None = None,
        cors: Cors | None = None,
    ) -> None:
        self._app = app
        self._tracker = tracker
        self._lifecycle = lifecycle
        self._ids = ids
        self._limits = limits
        self._budget = budget
        self._proxies = proxies
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = by_name(scope["headers"])
        record = self._tracker.begin(scope["method"], scope["path"], self._ids.of(headers.get(b"x-request-id")))
        if TRACEPARENT in headers:
            trace_context.note(record, headers)
        record.client = self._client(scope, headers)
        state = scope.setdefault("state", {})
        state["record"] = record
        if scope["method"] == "HEAD":  # the server omits the body
            scope = {**scope, "method": "GET"}
        body = _LimitedBody(headers, state, self._limits, self._budget, receive)
        added = [NOSNIFF] if self._cors is None else [*self._cors.headers(headers.get(b"origin")), NOSNIFF]
        responder = _Responder(scope, record, self._tracker, self._lifecycle, body, send, added)
        try:
            await self._app(scope, body.receive, responder.send)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - every request is answered
            _log.exception("request %s failed", record.request_id)
            await responder.fail()
        finally:
            responder.close()
            body.close()

    def _client(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        peer = plain(scope["client"][0]) if scope.get("client") else ""
        return peer if self._proxies is None else self._proxies.client(peer, headers.get(FORWARDED_FOR))


class _LimitedBody:
    """One request's body; `receive` raises a `RequestError` as soon as the body is invalid, too large or too late.

    ``awaits_continue`` is true while the client waits for 100 Continue before it sends the body.
    """

    def __init__(
        self,
        headers: Mapping[bytes, bytes],
        state: Mapping[str, Any],
        limits: Limits,
        budget: BodyBudget,
        receive: Receive,
    ) -> None:
        self.awaits_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        self._state = state
        self._limits = limits
        self._counter = BodyCounter(limits, budget)
        self._declared_bytes = int(headers.get(b"content-length", b"0"))
        self._deadline_s: float | None = None
        self._is_complete = False
        self._receive = receive

    @property
    def rejection(self) -> RequestError | None:
        """The error that the connection found in it."""
        found: RequestError | None = self._state.get(REJECTION)
        return found

    @property
    def is_far_from_complete(self) -> bool:
        """Whether too much of it is unread to read it after the response."""
        if self._is_complete:
            return False
        return unread_bytes(self._declared_bytes, self._counter.received_bytes) > MAX_UNREAD_BYTES

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        self._limits.check_declared(self._declared_bytes)
        if self._deadline_s is None:
            self._deadline_s = asyncio.get_running_loop().time() + self._limits.receive_timeout_s
        self.awaits_continue = False
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise self._limits.body_too_late() from None
        self._counter.add(len(message.get("body", b"")))
        if self.rejection is not None:
            raise self.rejection
        self._is_complete = not message.get("more_body", False)
        return message

    def close(self) -> None:
        """Return the body's bytes to the budget."""
        self._counter.release()


class _Responder:
    """One request's response: adds ``added`` and the request id, and closes the connection if no other may follow."""

    def __init__(
        self,
        scope: Scope,
        record: RequestRecord,
        tracker: RequestTracker,
        lifecycle: Lifecycle,
        body: _LimitedBody,
        send: Send,
        added: Sequence[Header],
    ) -> None:
        self._scope = scope
        self._record = record
        self._tracker = tracker
        self._lifecycle = lifecycle
        self._body = body
        self._send = send
        self._added = (*added, (b"x-request-id", record.request_id.encode()))
        self._kept: Sequence[Header] = scope["state"].get(KEPT, ())
        self._status = 0
        self._is_finished = False
        self._is_last: Callable[[], bool] = scope["state"].get(IS_LAST, _never)

    async def fail(self) -> None:
        """Answer 500. Raises `ServerFailed` if a response has begun: uvicorn then closes the connection."""
        if self._status:
            raise ServerFailed
        error = ServerFailed()
        self._record.problem = problems.name_of(error)
        await send_response(problems.response(error, self._record.request_id), self.send)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), *self._added]
            # A client that waits for 100 Continue may send its body or not: what follows is ambiguous.
            closes = self._is_last() or self._lifecycle.draining or self._body.awaits_continue
            closes = closes or self._body.is_far_from_complete or self._body.rejection is not None
            if problems.CLOSE not in headers:
                headers += [problems.CLOSE] if closes else self._kept
            message = {**message, "headers": headers}
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_finished = True
            # The router has written the route to the scope: the pattern, not the path.
            self._record.route = getattr(self._scope.get("route"), "path", self._record.route)
            self._tracker.finish(self._record, self._status)

    def close(self) -> None:
        """Abandon the record if the response is incomplete: the client is gone, or the application failed in it."""
        if not self._is_finished:
            self._tracker.abandon()


def _never() -> bool:
    return False
