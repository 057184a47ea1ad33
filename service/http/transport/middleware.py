"""Before any parsing: a request's id, the bounds on its body's size and time, and its entry in the tracker.

After everything else: what went wrong and was not foreseen becomes an answer too.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    MalformedRequest,
    ReceiveTimeout,
    RequestError,
    ServerFailed,
)
from service.http import problems
from service.http.limits import BodyBudget
from service.http.messages import by_name
from service.lifecycle import Lifecycle
from service.requests import RequestRecord, RequestTracker

_log = logging.getLogger(__name__)

_ID: Final = re.compile(rb"[!-~]{1,128}")
_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_HEADERS: Final = 256  # a short one takes many times its bytes in memory
# A chunk of one byte takes six on the wire.
_MAX_FRAMING: Final = 6
# Under this name in a request's state lies what its connection found wrong with its body.
REFUSED: Final = "refused"


class RequestIds:
    """Ids for requests that bring none: a random part for the process, then a number."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def of(self, sent: bytes | None) -> str:
        """The id the client sent, where it is 1 to 128 visible ASCII characters, else a new one."""
        if sent is not None and _ID.fullmatch(sent):
            return sent.decode("ascii")
        return f"{self._prefix}-{next(self._numbers)}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a request may be and how long it may take to arrive, and what is said of one that is not so."""

    max_body_bytes: int
    receive_timeout_s: float
    max_head_bytes: int = _MAX_HEAD_BYTES
    max_headers: int = _MAX_HEADERS

    @property
    def max_request_bytes(self) -> int:
        """All that a request may take on the wire: its head, and a body in chunks of any size, with their trailers."""
        return self.max_head_bytes + _MAX_FRAMING * self.max_body_bytes

    def not_http(self) -> MalformedRequest:
        """The refusal of bytes that the parser refused."""
        return MalformedRequest("the bytes are not an HTTP/1.1 request; check what sends them")

    def head_too_large(self) -> HeadersTooLarge:
        """The refusal of a request line and headers that have more bytes and go on."""
        return HeadersTooLarge(f"the headers have more than {self.max_head_bytes} bytes; send fewer, or shorter ones")

    def too_many_headers(self) -> HeadersTooLarge:
        """The refusal of more headers."""
        return HeadersTooLarge(f"the request has more than {self.max_headers} headers; send fewer")

    def framing_too_large(self) -> HeadersTooLarge:
        """The refusal of trailers and chunk extensions that have more bytes and go on."""
        return HeadersTooLarge(
            f"the body's trailers and chunk extensions have more than {self.max_head_bytes} bytes; send none, as they "
            "are not read"
        )

    def head_too_late(self) -> ReceiveTimeout:
        """The refusal of a request line and headers that take longer."""
        return ReceiveTimeout(f"the headers did not arrive within {self.receive_timeout_s:g} s; send them at once")

    def too_large(self) -> BodyTooLarge:
        """The refusal of a body that has more bytes, or declares them."""
        return BodyTooLarge(f"the body has more than {self.max_body_bytes} bytes; send fewer rows at once")

    def too_late(self) -> ReceiveTimeout:
        """The refusal of a body that takes longer."""
        return ReceiveTimeout(f"the body did not arrive within {self.receive_timeout_s:g} s; send it at once")


class Guard:
    """ASGI middleware around everything else."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tracker: RequestTracker,
        lifecycle: Lifecycle,
        ids: RequestIds,
        bounds: Bounds,
        bodies: BodyBudget,
    ) -> None:
        self._app = app
        self._tracker = tracker
        self._lifecycle = lifecycle
        self._ids = ids
        self._bounds = bounds
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = by_name(scope["headers"])
        record = self._tracker.begin(scope["method"], scope["path"], self._ids.of(headers.get(b"x-request-id")))
        state = scope.setdefault("state", {})
        state["record"] = record
        if scope["method"] == "HEAD":  # the server leaves the body away
            scope = {**scope, "method": "GET"}
        body = _BoundedBody(headers, state, self._bounds, self._bodies, receive)
        answer = _Answer(scope, record, self._tracker, self._lifecycle, body, send)
        try:
            await self._app(scope, body.receive, answer.send)
        except ClientDisconnect:
            return  # nobody to answer, and nothing of ours went wrong
        except Exception:  # noqa: BLE001 - every request is answered
            _log.exception("request %s failed", record.request_id)
            await answer.fail()
        finally:
            answer.close()
            body.close()


class _BoundedBody:
    """One request's body, refused as soon as it is known to be none, too large or too late, or finds no room.

    ``is_waited_for`` while a client that said so waits to be told to send it.
    """

    def __init__(
        self,
        headers: Mapping[bytes, bytes],
        state: Mapping[str, Any],
        bounds: Bounds,
        bodies: BodyBudget,
        receive: Receive,
    ) -> None:
        self.is_waited_for = headers.get(b"expect", b"").lower() == b"100-continue"
        self._state = state
        self._bounds = bounds
        self._bodies = bodies
        self._declared_bytes = int(headers.get(b"content-length", b"0"))
        self._received_bytes = 0
        self._ends_at: float | None = None
        self._whole = False
        self._receive = receive

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        if self._declared_bytes > self._bounds.max_body_bytes:
            raise self._bounds.too_large()
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self._bounds.receive_timeout_s
        self.is_waited_for = False
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            raise self._bounds.too_late() from None
        size_bytes = len(message.get("body", b""))
        if self._received_bytes + size_bytes > self._bounds.max_body_bytes:
            raise self._bounds.too_large()
        refused: RequestError | None = self._state.get(REFUSED)
        if refused is not None:
            raise refused
        self._bodies.acquire(size_bytes)
        self._received_bytes += size_bytes
        self._whole = not message.get("more_body", False)
        return message

    def close(self) -> None:
        """The request is over, and its body with it."""
        self._bodies.release(self._received_bytes)


class _Answer:
    """One request's answer on its way out: gets the id, and closes the connection where no other may follow."""

    def __init__(
        self,
        scope: Scope,
        record: RequestRecord,
        tracker: RequestTracker,
        lifecycle: Lifecycle,
        body: _BoundedBody,
        send: Send,
    ) -> None:
        self._scope = scope
        self._record = record
        self._tracker = tracker
        self._lifecycle = lifecycle
        self._body = body
        self._send = send
        self._status = 0
        self._finished = False

    async def fail(self) -> None:
        """Say that the server failed; a client that was told something else already sees the connection break."""
        if self._status:
            raise ServerFailed
        error = ServerFailed()
        self._record.problem = problems.name_of(error)
        response = problems.response(error, self._record.request_id)
        headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
        await self.send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": response.body})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self._record.request_id.encode())]
            # Nobody can tell whether a body that was not asked for will come: what follows might be it.
            if (self._lifecycle.draining or self._body.is_waited_for) and problems.CLOSE not in headers:
                headers.append(problems.CLOSE)
            message = {**message, "headers": headers}
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished = True
            # The router wrote the route it chose, the pattern and not the path, into the scope.
            self._record.route = getattr(self._scope.get("route"), "path", self._record.route)
            self._tracker.finish(self._record, self._status)

    def close(self) -> None:
        """The application is done: where it gave no whole answer, its client is gone, or it failed in the middle."""
        if not self._finished:
            self._tracker.abandon()
