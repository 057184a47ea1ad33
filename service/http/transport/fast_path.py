"""The express door: uvicorn's HTTP protocol, answering predictions before ASGI begins.

A prediction's path through a framework costs more than the network: a scope, a task, six messages and a router for each
request. Here its body goes from uvicorn's parser to `Predict`, and the answer from there to the socket. Everything
else — other paths, other methods, upgrades — is uvicorn's and the application's, untouched.

A `PredictionCycle` stands where uvicorn keeps its own request-response cycle: keep-alive, pipelining and shutdown
stay uvicorn's. This module relies on what `INTERNALS` names, and a test checks it.

A client sends the same request line and headers again and again: what the parser made of them is remembered as a
`CachedHead`, and the next request that begins with the same bytes, and comes in one piece, is not parsed at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import RequestError
from service.http import problems
from service.http.admission import LARGE_BYTES, Arrival
from service.http.limits import BodyBudget
from service.http.messages import Request, Response, by_name
from service.http.paths import RouteMatch, RouteTable
from service.http.predict import Pending, Predict
from service.http.transport.connection import BETWEEN, BoundedProtocol
from service.http.transport.middleware import Bounds, RequestIds
from service.lifecycle import Lifecycle
from service.requests import RequestTracker

# What the protocol and its cycle are used for here: uvicorn promises none of it, so its version is pinned.
INTERNALS: Final = {
    HttpToolsProtocol: (
        *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"),
        *("connection_made", "data_received", "connection_lost", "resume_writing", "on_response_complete", "shutdown"),
        *("_start_asgi_task", "send_400_response", "timeout_keep_alive_handler", "_unset_keepalive_if_required"),
    ),
    RequestResponseCycle: ("run_asgi", "send", "receive"),
}

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"
# What is remembered of all clients together is bounded: the longest head, and how many.
_HEAD_BYTES: Final = 1024
_HEADS: Final = 256


class CachedHead(NamedTuple):
    """What a request line and headers say that were parsed before."""

    target: RouteMatch
    headers: Mapping[bytes, bytes]
    body_bytes: int


@dataclass(frozen=True, slots=True)
class FastPathContext:
    """What the protocol needs of the service."""

    predict: Predict
    tracker: RequestTracker
    lifecycle: Lifecycle
    ids: RequestIds
    bounds: Bounds
    bodies: BodyBudget
    table: RouteTable


def protocol_of(context: FastPathContext) -> type[HttpToolsProtocol]:
    """The protocol class to give to uvicorn as its ``http``."""
    own = {"tracker": context.tracker, "ids": context.ids, "bounds": context.bounds, "bodies": context.bodies}
    return type("Express", (FastPathProtocol,), own | {"context": context, "heads": {}})


class PredictionCycle(RequestResponseCycle):
    """One prediction on one connection, from its headers to its answer, in the place of uvicorn's cycle.

    Of the cycle it keeps what the protocol reads and writes: ``response_complete``, ``keep_alive``, ``disconnected``
    and ``message_event``.
    """

    message_event = asyncio.Event()  # nobody waits for it here, so one serves all
    waiting_for_100_continue = False
    disconnected = False
    response_complete = False
    in_turn = False
    _body: bytes | bytearray = b""
    _held_bytes = 0
    _whole = False
    _answered = False
    _refusal: RequestError | None = None
    _job: Pending | None = None
    _arrival: Arrival | None = None

    def __init__(
        self, protocol: FastPathProtocol, target: RouteMatch, headers: Mapping[bytes, bytes], *, keep_alive: bool
    ) -> None:
        context = protocol.context
        self.keep_alive = keep_alive
        self._protocol = protocol
        self._target = target
        self._record = context.tracker.begin("POST", target.path, context.ids.of(headers.get(b"x-request-id")))
        self._record.route = target.route
        self._request = Request(target.model, target.version, target.query, headers, b"")

    def start(self) -> None:
        """All earlier requests of the connection are answered: this one may be."""
        self.in_turn = True
        self._protocol.current = self
        bounds, declared_bytes = self._protocol.bounds, int(self._request.headers.get(b"content-length", 0))
        if declared_bytes > bounds.max_body_bytes:
            self.refuse(bounds.too_large())
            return
        if declared_bytes > LARGE_BYTES and not self._whole and self._refusal is None:
            try:
                self._count()
            except RequestError as error:
                self.refuse(error)
                return
        if self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self._protocol.transport.write(_CONTINUE)
        if self._refusal is not None:
            self.refuse(self._refusal)
        elif self._whole:
            self._run()

    def start_whole(self, body: bytes) -> None:
        """The request is there with all its body, and it is its turn."""
        self.in_turn = self._whole = True
        self._protocol.current = self
        self._body = body
        self._run()

    def take(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.response_complete or self._refusal is not None:
            return
        if self._held_bytes + len(data) > self._protocol.bounds.max_body_bytes:
            self.refuse(self._protocol.bounds.too_large())
            return
        try:
            self._protocol.context.bodies.acquire(len(data))
            self._held_bytes += len(data)
            if self._held_bytes > LARGE_BYTES:
                self._count()
        except RequestError as error:
            self.refuse(error)
            return
        if not self._body:
            self._body = data
        else:  # many small pieces as objects would take many times their size
            self._body = self._body if isinstance(self._body, bytearray) else bytearray(self._body)
            self._body += data

    def complete(self) -> None:
        """The body is whole."""
        self._whole = True
        if self.in_turn and self._refusal is None:
            self._run()

    def refuse(self, error: RequestError) -> None:
        """Answer, in its turn, that its body is not what the server takes; the rest of it is thrown away.

        Not at once: what is wrong with what came together with it decides whether the connection is kept.
        """
        self._refusal = self._refusal or error
        self._body_is_over()
        if self.in_turn:
            self._protocol.loop.call_soon(self._give_refusal)

    def head_before(self, body: bytes) -> CachedHead | None:
        """What came before ``body``, if it will say the same before any body of that length."""
        headers = self._request.headers
        if (
            self._body == body
            and self.keep_alive
            and b"expect" not in headers
            and b"transfer-encoding" not in headers
            and b"x-request-id" not in headers  # it will not come again
        ):
            return CachedHead(self._target, headers, len(body))
        return None

    def abandon(self) -> None:
        """The client is gone."""
        self.disconnected = True
        self._body_is_over()
        if self._job is not None:
            self._job.cancel()
        if not self._answered:
            self._answered = True
            self._protocol.context.tracker.abandon()

    def finish(self) -> None:
        """The answer is on its way out, and there is room for the next one."""
        self.response_complete = True
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()

    def _give_refusal(self) -> None:
        if self._refusal is not None and not self._answered:
            self._record.problem = problems.name_of(self._refusal)
            self._reply(self._target.protocol.error(self._refusal, self._record.request_id))

    def _run(self) -> None:
        self._request.body = bytes(self._body)
        arrival, self._arrival = self._arrival, None
        self._body_is_over()
        self._job = self._protocol.context.predict(
            self._target.protocol, self._request, self._record, self._reply, arrival
        )
        self._request.body = b""  # its rows wait, and have a bound of their own

    def _count(self) -> None:
        """Count the rows of a large body, as far as it is there. Raises `Overloaded` where they have no room."""
        if self._arrival is None:
            declared_bytes = int(self._request.headers.get(b"content-length", 0))
            self._arrival = self._protocol.context.predict.arrive(
                self._target.protocol, self._request, self._record, declared_bytes
            )
        if self._arrival is not None:
            self._arrival.reached(self._held_bytes)

    def _body_is_over(self) -> None:
        if self._arrival is not None:
            self._arrival.close()
            self._arrival = None
        self._body = b""
        if self._held_bytes:
            self._protocol.context.bodies.release(self._held_bytes)
            self._held_bytes = 0

    def _reply(self, response: Response) -> None:
        self._answered = True
        protocol = self._protocol
        closes = problems.CLOSE in response.headers or self.waiting_for_100_continue
        if closes or protocol.context.lifecycle.draining:
            self.keep_alive = False
        protocol.write(response, self._record, keep_alive=self.keep_alive)
        if protocol.flow.write_paused:
            protocol.unsent = self
        else:
            self.finish()


class FastPathProtocol(BoundedProtocol):
    """uvicorn's protocol, with its bounds and with the express door in it; `protocol_of` gives the class its ``door``.

    ``unsent`` is an cycle whose answer the client is slow to read: the connection's next request waits for it, so
    that answers nobody reads do not pile up.
    """

    context: ClassVar[FastPathContext]
    heads: ClassVar[dict[bytes, CachedHead]]
    unsent: PredictionCycle | None = None
    _read = b""

    def dispatch(self) -> None:
        """Take a prediction; leave every other request to uvicorn."""
        target = self.context.table.match(self.url)
        if target is None or self.method != b"POST":
            super().dispatch()
            return
        earlier: RequestResponseCycle | None = self.cycle
        keep_alive = self.version != "1.0" and self.parser.should_keep_alive()
        self.cycle = cycle = PredictionCycle(self, target, by_name(self.headers), keep_alive=keep_alive)
        cycle.waiting_for_100_continue = self.expect_100_continue
        if earlier is None or earlier.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def take(self, body: bytes) -> None:
        """Hand a piece of body to whoever the request is with."""
        if isinstance(self.cycle, PredictionCycle):
            self.cycle.take(body)
        else:
            super().take(body)

    def complete(self) -> None:
        """Tell whoever the request is with that its body is whole."""
        if isinstance(self.cycle, PredictionCycle):
            self._remember(self.cycle)
            self.cycle.complete()
        else:
            super().complete()

    def data_received(self, data: bytes) -> None:
        """Take a request that begins as an earlier one did, or parse what came; a body not yet whole is timed."""
        earlier: RequestResponseCycle | None = self.cycle
        if self.reading is BETWEEN and (earlier is None or earlier.response_complete):
            end = data.find(_HEAD_END) + len(_HEAD_END)
            head = self.heads.get(data[:end])
            if head is not None and len(data) == end + head.body_bytes:
                self._unset_keepalive_if_required()
                self.cycle = cycle = PredictionCycle(self, head.target, head.headers, keep_alive=True)
                cycle.start_whole(data[end:])
                return
            self._read = data
        else:
            self._read = b""
        super().data_received(data)

    def body_too_late(self) -> None:
        """Refuse a prediction whose body did not come, unless it was we who did not read it before its turn."""
        if isinstance(self.cycle, PredictionCycle) and self.cycle.in_turn:
            self.cycle.refuse(self.bounds.too_late())
        else:
            super().body_too_late()

    def refuse_body(self, error: RequestError) -> None:
        """Refuse the request that is not answered yet for a body that is none."""
        if isinstance(self.cycle, PredictionCycle):
            self.cycle.refuse(error)
        else:
            super().refuse_body(error)

    def _remember(self, cycle: PredictionCycle) -> None:
        """Remember the head of a request that was all of one read, its body all that follows its head."""
        data, self._read = self._read, b""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        head = cycle.head_before(data[end:]) if end <= _HEAD_BYTES else None
        if head is not None:
            if len(self.heads) >= _HEADS:
                self.heads.clear()
            self.heads[data[:end]] = head

    def abandon(self, cycle: RequestResponseCycle) -> None:
        """Give up what the client no longer waits for."""
        if isinstance(cycle, PredictionCycle):
            cycle.abandon()
        else:
            super().abandon(cycle)

    def resume_writing(self) -> None:
        """The client has read: go on with its next request."""
        super().resume_writing()
        unsent, self.unsent = self.unsent, None
        if unsent is not None and not unsent.disconnected:
            unsent.finish()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if isinstance(cycle, PredictionCycle):
            if self.rest is not None:
                self.wait_for_rest()
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)
