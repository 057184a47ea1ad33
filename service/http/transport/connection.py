"""uvicorn's HTTP protocol, with bounds on what it leaves unbounded: how long a request takes to arrive, and its bytes.

uvicorn times a connection between two requests alone. Here the first request is waited for no longer than a later one,
a request once begun is timed until it is whole, and what is no body (heads, trailers, framing) is counted. Requests
sent ahead of their turn are parsed one small piece at a time, and no further than the first that has to wait. What is
refused gets a problem document in its turn, and counts in metrics and log, like every other request.

A client that ends its side of the connection may still listen, so it is answered; one that resets it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import re
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import MalformedRequest, RequestError, ServerFailed
from service.http import problems
from service.http.limits import BodyBudget
from service.http.messages import Response
from service.http.transport.closing import ClosingTransport
from service.http.transport.middleware import REFUSED, Bounds, RequestIds
from service.requests import RequestRecord, RequestTracker

_log = logging.getLogger(__name__)

_CLOSE: Final = b"connection: close\r\n"
_VERSIONS: Final = ("1.1", "1.0")
# What is parsed at once where a request may end in it: so much at most is parsed ahead of its turn.
_PIECE_BYTES: Final = 4096
# What a chunk takes on the wire beside its bytes: its size and two line ends.
_CHUNK_FRAMING_BYTES: Final = 16
# https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2, and a port
_HOST: Final = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:]+\])(?::\d*)?", re.ASCII)
# A request that was answered before so much of its body was read is read on after a pause: whoever sends all of it
# nevertheless, and then asks again, is slowed down before a refusal costs as much as an answer.
_LARGE_REST_BYTES: Final = 128 * 1024
_PAUSE_S: Final = 1.0


# Headers that decide where a request ends, or what it is the request for.
_TELLING: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


class Reading(Enum):
    """Where the parser is in what the client sends."""

    BETWEEN = "surely not inside a request"
    HEAD = "in a request's line and headers"
    UPGRADE = "behind a head that is to be read again, without its Upgrade"
    BODY = "in a body, or the trailers after it"
    OVER = "nowhere: nothing more is read as a request"


# Members of an Enum are slow to look up.
BETWEEN: Final = Reading.BETWEEN
_HEAD, _UPGRADE, _BODY, _OVER = Reading.HEAD, Reading.UPGRADE, Reading.BODY, Reading.OVER


def protocol_of(
    tracker: RequestTracker, ids: RequestIds, bounds: Bounds, bodies: BodyBudget
) -> type[HttpToolsProtocol]:
    """The protocol class to give to uvicorn as its ``http``, for a service without the express door."""
    own = {"tracker": tracker, "ids": ids, "bounds": bounds, "bodies": bodies}
    return type("Bounded", (BoundedProtocol,), own)


class BoundedProtocol(HttpToolsProtocol):
    """One connection; a subclass is given ``tracker``, ``ids``, ``bounds`` and ``bodies``.

    ``current`` is the request whose turn it is, while uvicorn's ``cycle`` is the one read last.
    """

    tracker: ClassVar[RequestTracker]
    ids: ClassVar[RequestIds]
    bounds: ClassVar[Bounds]
    bodies: ClassVar[BodyBudget]
    current: RequestResponseCycle | None = None
    reading: Reading = BETWEEN
    rest: asyncio.TimerHandle | None = None  # runs while more of a request is to come
    going = False  # what came is being parsed, and what is next being started
    _line: ClosingTransport
    _flow: _Flow
    _ahead: bytes | memoryview = b""  # what came and is not parsed yet
    _ended = False  # the client sends no more
    _held_bytes = 0
    _idle_from_s: float | None = None  # since when no request is under way
    # Of the request that is being read:
    method = b""
    version = ""
    _timed = False
    _told: list[tuple[bytes, bytes]]  # those of its headers that say what it is the head of
    _head_bytes = 0
    _framing_bytes = 0  # over what its chunks account for
    _body_bytes = 0
    _declared_bytes = 0
    _checked_host: bytes | None = None
    # Of the piece that is being parsed:
    _begun = 0
    _found: RequestError | None = None  # why a callback stopped the parser

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request no longer than for a later one."""
        self._line = ClosingTransport(transport, self.loop, self._may_still_send, self.bounds.max_request_bytes)
        super().connection_made(cast("asyncio.Transport", self._line))
        self.flow = self._flow = _Flow(self.transport)
        # A trailer can say that the connection closes; the parser would not read on after it.
        self.parser.set_dangerous_leniencies(lenient_keep_alive=True)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and start what is next."""
        if self._line.lingers:
            self._line.throw_away(len(data))
        elif self.reading is not _OVER:
            self._ahead = b"".join((self._ahead, data)) if self._ahead else data
            self.go_on()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what the client asked before it ended its side; true keeps ours open for that."""
        self._ended = True
        if self._line.lingers:
            self._line.close_now()
        self.go_on()
        return not self._line.is_closing()

    def on_message_begin(self) -> None:
        """Note that the parser is in a request; after the connection's last one nothing is."""
        if self._line.closed:
            raise _Closed
        if self.reading is not _UPGRADE:
            self._begun += 1
            self._timed = False
            self._head_bytes = self._framing_bytes = self._body_bytes = self._declared_bytes = 0
            self._idle_from_s = None
        self.reading = _HEAD
        self.method = b""
        self._told = []
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is none, and not kept."""
        if self.reading is not _HEAD:
            return
        if len(self.headers) >= self.bounds.max_headers:
            self._found = self.bounds.too_many_headers()
            raise self._found
        name, value = name.lower(), value.rstrip(b" \t")
        self.headers.append((name, value))
        if name in _TELLING:
            self._told.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand on a request that is one; an upgrade is not offered, so the head is read again without the placement."""
        parser = self.parser
        self.method, self.version = parser.get_method(), parser.get_http_version()
        if parser.should_upgrade() and self.method != b"CONNECT":
            self.reading = _UPGRADE
            return
        try:
            self._check_head()
            self.dispatch()
        except RequestError as error:
            self._found = error
            raise
        self.reading = _BODY

    def dispatch(self) -> None:
        """Begin the request whose head is there. Raises `MalformedRequest` where its target is none."""
        self.url = _target(self.url, self.method)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count a piece of body and hand it on."""
        self._body_bytes += len(body)
        self._framing_bytes -= _CHUNK_FRAMING_BYTES
        self.take(body)

    def take(self, body: bytes) -> None:
        """Take a piece of the body of the request that is being read."""
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole, before what is done with it."""
        if self.reading is not _UPGRADE:
            self.reading = BETWEEN
            self.complete()

    def complete(self) -> None:
        """The request that is being read is whole."""
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more, write no more, and hold on to nobody; uvicorn tells one request, and no other."""
        for cycle in (self.current, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                self.abandon(cycle)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self._line.stop()
        super().connection_lost(exc)
        self._stop()
        # A cycle knows its protocol: what knows each other stays in memory until the collector comes.
        self.pipeline.clear()
        self.current = self.cycle = self.scope = self.headers = None  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one: as uvicorn does, which makes and cancels a timer each time."""
        self.server_state.total_requests += 1
        if self._line.closed:
            self._stop()
            return
        if self.reading is BETWEEN and not self.pipeline:
            self._await_request()
        if self.reading is _BODY and self._rest_bytes > _LARGE_REST_BYTES and _is_answered(self.cycle):
            self._flow.hold()
            self.loop.call_later(min(_PAUSE_S, self.bounds.receive_timeout_s / 2), self._read_on)
        elif self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline or self._ahead or self._ended:
            self.go_on()

    def go_on(self) -> None:
        """Parse what is there and start what is next, until a request waits for its turn or nothing is left."""
        if self.going:
            return
        self.going = True
        try:
            while not self._line.closed:
                if self.pipeline:
                    if not _is_answered(self.current):
                        break
                    self._start_asgi_task(*self.pipeline.pop())
                elif self._ahead:
                    self._parse()
                else:
                    break
        finally:
            self.going = False
        if self._line.closed:
            self._stop()
        elif self._ended and not self._is_awaited():
            self.transport.close()
        else:
            self._wait()

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

    def abandon(self, cycle: RequestResponseCycle) -> None:
        """Tell a request that its client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    def refuse(self, error: RequestError) -> None:
        """Answer with ``error``, in its turn, what the parser is in or comes to next, and close the connection then.

        Nothing after it is read as a request. Earlier requests are answered before it. What was answered already, and
        goes on with a body that is none, is not answered again.
        """
        was, self.reading = self.reading, _OVER
        self._ahead = b""
        cycle = self.cycle
        if was is _OVER:
            return
        if was is not _BODY:
            path = self.url.split(b"?", 1)[0].decode("latin-1") if self.method else ""
            sent_id = dict(self.headers).get(b"x-request-id") if self.method else None
            self.cycle = refusal = Refusal(self, error, self.method.decode("ascii"), path, sent_id)
            self.pipeline.appendleft((refusal, self.app))
        elif _is_answered(cycle):
            self.transport.close()
        else:
            cycle.keep_alive = False
            self.refuse_body(error)
        self.go_on()

    def refuse_body(self, error: RequestError) -> None:
        """Answer the request whose body is being read with ``error``: `Guard` raises it where the body is read."""
        self.cycle.scope["state"][REFUSED] = error
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def body_too_late(self) -> None:
        """The body of a request that is not answered yet did not come; what ASGI reads, the guard times itself."""
        self.wait_for_rest()

    def wait_for_rest(self) -> None:
        """Begin to count the time for what is still to come, anew."""
        if self.rest is not None:
            self.rest.cancel()
        self.rest = self.loop.call_later(self.bounds.receive_timeout_s, self._too_late)

    def write(self, response: Response, record: RequestRecord, *, keep_alive: bool) -> None:
        """Send an answer, and enter it in the tracker."""
        self.transport.write(
            b"%bcontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b"
            % (
                _opening(response.status, tuple(self.server_state.default_headers)),
                len(response.body),
                _lines(response.headers),
                record.request_id.encode(),
                b"" if keep_alive or problems.CLOSE in response.headers else _CLOSE,
                b"" if record.method == "HEAD" else response.body,
            )
        )
        self.tracker.finish(record, response.status)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return _is_answered(self.cycle) and self.reading is not _HEAD and not self._ahead

    @property
    def fileno(self) -> int:
        """The connection's file descriptor."""
        descriptor: int = self.transport.get_extra_info("socket").fileno()
        return descriptor

    def give_up(self, error: RequestError) -> None:
        """Wait no longer for what is not whole: refuse it so; close a connection on which no request is under way."""
        if self.is_idle:
            self.transport.close()
        elif self.reading is BETWEEN:
            self.cycle.keep_alive = False
            self._stop()
        else:
            self.refuse(error)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.current = cycle
        if self.rest is not None:
            self.wait_for_rest()
        if isinstance(cycle, Refusal):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def _parse(self) -> None:
        """Parse the next piece of what came."""
        data, size_bytes = self._ahead, len(self._ahead)
        if size_bytes > _PIECE_BYTES or self.reading is _HEAD:
            size_bytes = self._piece_bytes(size_bytes)
        piece = data if size_bytes == len(data) else memoryview(data)[:size_bytes]
        self._ahead = b"" if size_bytes == len(data) else memoryview(data)[size_bytes:]
        before, body_bytes = self.reading, self._body_bytes
        self._begun = 0
        parsed_bytes = self._feed(piece)
        if self.reading is BETWEEN or self.reading is _OVER:
            return
        if self.reading is _UPGRADE:
            self._ahead = memoryview(data)[parsed_bytes:]
        if self._begun == 0:
            self._measure(parsed_bytes - (self._body_bytes - body_bytes), before)
        elif self._begun == 1 and before is BETWEEN:
            self._measure(parsed_bytes - self._body_bytes, before)
        # Where it began amid the piece, its share of it is unknown, and small.
        if self.reading is _UPGRADE:
            head = _without_upgrade(self.method, self.url, self.version, self.headers)
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_keep_alive=True)
            self._feed(head)

    def _piece_bytes(self, size_bytes: int) -> int:
        """How much to parse now of so many bytes: a little, or what surely begins no other request."""
        if self.reading is _BODY:
            return min(size_bytes, max(_PIECE_BYTES, self._declared_bytes - self._body_bytes))
        head_bytes = self._head_bytes if self.reading is _HEAD else 0
        return min(size_bytes, _PIECE_BYTES, self.bounds.max_head_bytes + 1 - head_bytes)

    def _feed(self, data: bytes | memoryview) -> int:
        """Let the parser read ``data``, and refuse what it does; how many bytes it read."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return int(upgrade.args[0])
        except httptools.HttpParserCallbackError as stopped:
            if self._line.closed:
                return len(data)
            found, self._found = self._found, None
            if found is None:
                _log.error("a request could not be begun", exc_info=stopped.__context__)
            self.refuse(found.with_traceback(None) if found else ServerFailed())
        except httptools.HttpParserError:
            self.refuse(self.bounds.not_http())
        return len(data)

    def _measure(self, size_bytes: int, before: Reading) -> None:
        """Count bytes of the request being read that are no body; ``before`` them the parser was there."""
        if before is not _BODY:
            self._head_bytes += size_bytes
            if self.reading is _HEAD and self._head_bytes > self.bounds.max_head_bytes:
                self.refuse(self.bounds.head_too_large())
            return
        self._framing_bytes += size_bytes
        if self._framing_bytes > self.bounds.max_head_bytes:
            self.refuse(self.bounds.framing_too_large())
        elif self._framing_bytes + self._body_bytes > self.bounds.max_request_bytes:
            self._line.close_now()

    def _check_head(self) -> None:
        """Raise `MalformedRequest` for a head that leaves a doubt about what it is the head of."""
        version = self.version
        if version not in _VERSIONS:
            raise MalformedRequest(f"the request line says HTTP/{version}, expected HTTP/1.1 or HTTP/1.0")
        if self.method == b"CONNECT":
            raise MalformedRequest("CONNECT asks for a tunnel, and this server is no proxy; send the request itself")
        hosts, codings = [], []
        for name, value in self._told:
            if name == b"host":
                hosts.append(value)
            elif name == b"content-length":
                self._declared_bytes = int(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            else:
                self.expect_100_continue = version == "1.1" and value.lower() == b"100-continue"
        self._check_hosts(hosts)
        if codings and (version == "1.0" or codings != [b"chunked"]):
            shown = _shown(b", ".join(codings))
            raise MalformedRequest(f"transfer-encoding is {shown}, expected chunked, in HTTP/1.1, or none")

    def _check_hosts(self, hosts: list[bytes]) -> None:
        if len(hosts) > 1 or (not hosts and self.version == "1.1"):
            raise MalformedRequest(f"the request has {len(hosts)} host headers, expected one")
        if hosts and hosts[0] != self._checked_host:
            if _HOST.fullmatch(hosts[0]) is None:
                raise MalformedRequest(f"host is {_shown(hosts[0])}, expected a name or an address, and a port or none")
            self._checked_host = hosts[0]

    def _wait(self) -> None:
        """Read on unless something waits for its turn; hold room for what is not whole, and time it."""
        if self.pipeline or self._ahead or self.reading is _OVER:
            self._flow.hold()
        elif self._flow.held:
            self._flow.let_go()
        under_way = self.reading is _HEAD or self.reading is _BODY
        if not under_way:
            if self.rest is not None:
                self.rest.cancel()
                self.rest = None
        elif not self._timed:
            self._timed = True
            self.wait_for_rest()
        held_bytes = len(self._ahead) + (self._head_bytes if under_way else 0)
        if held_bytes != self._held_bytes:
            self._hold(held_bytes)

    @property
    def _rest_bytes(self) -> int:
        """How much of the body that is being read is surely still to come."""
        return self._declared_bytes - self._body_bytes

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self._flow.let_go()

    def _hold(self, size_bytes: int) -> None:
        """Count what this connection holds in memory beside bodies."""
        more_bytes, self._held_bytes = size_bytes - self._held_bytes, size_bytes
        if more_bytes < 0:
            self.bodies.release(-more_bytes)
            return
        try:
            self.bodies.acquire(more_bytes)
        except RequestError as error:
            self._held_bytes -= more_bytes
            self.refuse(error.with_traceback(None))

    def _stop(self) -> None:
        """Nothing more is read as a request."""
        self.reading = _OVER
        self._ahead = b""
        self._hold(0)
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None

    def _too_late(self) -> None:
        self.rest = None
        if self._line.is_closing():
            return
        if self._flow.held:  # it was we who did not read
            self.wait_for_rest()
        elif self.reading is _HEAD:
            self.refuse(self.bounds.head_too_late())
        elif _is_answered(self.cycle):  # what was refused was read on for so long that its sender could read the answer
            self._line.close_now()
        else:
            self.body_too_late()

    def _is_awaited(self) -> bool:
        """Whether an answer is still to be given to a client that sends no more: not to half a request."""
        if self.pipeline or self._ahead:
            return True
        return not _is_answered(self.current) and self.reading is not _BODY

    def _may_still_send(self) -> bool:
        """Whether the client is in the middle of a request, or of more of them than are answered."""
        return not self._ended and (self.reading is not BETWEEN or bool(self.pipeline or self._ahead))


class Refusal(RequestResponseCycle):
    """What is no request, in the place of uvicorn's cycle: answered in its turn, it is the connection's last."""

    message_event = asyncio.Event()  # nobody waits for it
    keep_alive = False
    disconnected = False
    response_complete = False

    def __init__(
        self, protocol: BoundedProtocol, error: RequestError, method: str, path: str, sent_id: bytes | None
    ) -> None:
        self._protocol = protocol
        self._error = error
        self._asked = method, path, sent_id

    def start(self) -> None:
        """All earlier requests of the connection are answered."""
        protocol = self._protocol
        method, path, sent_id = self._asked
        record = protocol.tracker.begin(method, path, protocol.ids.of(sent_id))
        record.problem = problems.name_of(self._error)
        self.response_complete = True
        protocol.write(problems.response(self._error, record.request_id), record, keep_alive=False)
        protocol.transport.close()


class _Closed(Exception):
    """The parser may stop: what it reads comes after the last answer."""


class _Flow(FlowControl):
    """Reading that is not resumed while requests wait for their turn: uvicorn's cycles resume it when they wait."""

    held = False

    def hold(self) -> None:
        self.held = True
        self.pause_reading()

    def let_go(self) -> None:
        self.held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if self.read_paused and not self.held:
            super().resume_reading()


def _is_answered(cycle: RequestResponseCycle | None) -> bool:
    return cycle is None or cycle.response_complete


def _target(url: bytes, method: bytes) -> bytes:
    """The target in a form that has a path. Raises `MalformedRequest`."""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        parsed = None
    if parsed is None or (url == b"*" and method != b"OPTIONS"):
        raise MalformedRequest(f"the request's target is {_shown(url)}, expected a path, as in GET /models")
    if parsed.path is None:  # as in http://host
        return b"/" + (b"" if parsed.query is None else b"?" + parsed.query)
    return url


def _without_upgrade(method: bytes, url: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A head as the client sent it, but for its placement to leave HTTP: https://www.rfc-editor.org/rfc/rfc9110#section-7.8"""
    line = b"%b %b HTTP/%b\r\n" % (method, url, version.encode())
    return line + b"".join([b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]) + b"\r\n"


def _shown(sent: bytes) -> str:
    return repr(sent[:60].decode("latin-1"))


@lru_cache(maxsize=32)
def _opening(status: int, default_headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """An answer's first lines; the default headers change with each second's date."""
    return STATUS_LINE[status] + _lines(default_headers)


@lru_cache(maxsize=32)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
