"""uvicorn's HTTP parser with limits: on a request's head, on the framing of its body, on what is parsed at once."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.errors import MalformedRequest, RequestError, ServerFailed
from service.http.limits import MAX_UNREAD_BYTES, Limits, unread_bytes
from service.http.transport import heads
from service.http.transport.closing import ClosingTransport
from service.http.transport.heads import FRAMING_HEADERS
from service.http.transport.timers import KeepAliveTimer, ReceiveTimer

_log = logging.getLogger(__name__)

# A piece may contain the end of a request; this limits how much is parsed before that request is answered.
_PIECE_BYTES: Final = 4096
# The size line and line ends of a chunk.
_CHUNK_FRAMING_BYTES: Final = 16
_COOKIE: Final = b"cookie"


class ParserState(Enum):
    """Where the parser is in the bytes of the connection."""

    IDLE = "between requests"
    HEAD = "in a request line and headers"
    UPGRADE = "after a head that is parsed again without its Upgrade header"
    BODY = "in a body, or the trailers after it"
    STOPPED = "nothing more is parsed"


# Module globals, as members of an Enum are slow to look up.
PARSER_IDLE: Final = ParserState.IDLE
PARSER_BODY: Final = ParserState.BODY
PARSER_HEAD: Final = ParserState.HEAD
PARSER_STOPPED: Final = ParserState.STOPPED
_UPGRADE: Final = ParserState.UPGRADE


class ParsingProtocol(HttpToolsProtocol):
    """Parses what a connection receives, and counts its bytes; a subclass decides what happens with the requests.

    Methods named ``on_*`` are the parser's callbacks, as uvicorn names them.
    """

    # uvicorn's attributes fill the dictionary of an instance: with more than 30, it would be slower.
    __slots__ = (
        *("_begun", "_body_bytes", "_callback_error", "_declared_bytes", "_framing_bytes", "_framing_headers"),
        *("_head_bytes", "_known_host", "_unparsed", "closing", "http_version", "keep_alive_timer", "limits", "method"),
        *("parser_state", "receive_timer"),
    )

    keep_alive_timer: KeepAliveTimer
    receive_timer: ReceiveTimer
    closing: ClosingTransport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = limits
        self.parser_state = PARSER_IDLE
        self._unparsed: bytes | memoryview = b""
        self._known_host: bytes | None = None  # the last valid host header
        # Of the request that is being parsed:
        self.method = b""
        self.http_version = ""
        self._framing_headers: list[heads.Header] = []
        self._head_bytes = 0
        self._framing_bytes = 0  # beyond `_CHUNK_FRAMING_BYTES` for each chunk
        self._body_bytes = 0
        self._declared_bytes = 0
        # Of the piece that is being parsed: how many requests begin in it, and why a callback stopped the parser.
        self._begun = 0
        self._callback_error: RequestError | None = None
        # A trailer can say that the connection closes, and the parser must still read the next request.
        self.parser.set_dangerous_leniencies(lenient_keep_alive=True)

    def dispatch(self) -> None:
        """Begin the request whose head is complete. Raises `MalformedRequest` if its target is invalid."""
        self.url = heads.with_path(self.url, self.method)
        super().on_headers_complete()

    def feed(self, body: bytes) -> None:
        """Pass a piece of the body to the request that is being parsed."""
        super().on_body(body)

    def body_complete(self) -> None:
        """Tell the request that is being parsed that its body is complete."""
        super().on_message_complete()

    def on_message_begin(self) -> None:
        """Begin to count a request's bytes; after the last response of the connection none is begun."""
        if self.closing.close_requested:
            raise _ConnectionClosed
        if self.parser_state is not _UPGRADE:
            self._begun += 1
            self._head_bytes = self._framing_bytes = self._body_bytes = self._declared_bytes = 0
            self.receive_timer.expect_new_request()
            self.keep_alive_timer.idle_since_s = None
        self.parser_state = PARSER_HEAD
        self.method = b""
        self._framing_headers = []
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are ignored."""
        if self.parser_state is not PARSER_HEAD:
            return
        if len(self.headers) >= self.limits.max_headers:
            self._callback_error = self.limits.too_many_headers()
            raise self._callback_error
        name = name.lower()
        if name == _COOKIE:  # FastAPI would parse it, and nobody reads it
            return
        header = name, value.rstrip(b" \t")
        self.headers.append(header)
        if name in FRAMING_HEADERS:
            self._framing_headers.append(header)

    def on_headers_complete(self) -> None:
        """Begin the request, unless the parser takes it for an upgrade: then its head is parsed again."""
        parser = self.parser
        self.method, self.http_version = parser.get_method(), parser.get_http_version()
        if parser.should_upgrade() and self.method != b"CONNECT":
            self.parser_state = _UPGRADE
            return
        try:
            if len(self.url) > self.limits.max_target_bytes:
                raise self.limits.target_too_long()
            self._known_host, self._declared_bytes, self.expect_100_continue = heads.read_framing(
                self.method, self.http_version, self._framing_headers, self._known_host
            )
            self.dispatch()
        except RequestError as error:
            self._callback_error = error
            raise
        self.parser_state = PARSER_BODY

    def on_body(self, body: bytes) -> None:
        """Count a piece of the body, and pass it on."""
        self._body_bytes += len(body)
        self._framing_bytes -= _CHUNK_FRAMING_BYTES
        self.feed(body)

    def on_message_complete(self) -> None:
        """Finish the request that was being parsed."""
        if self.parser_state is not _UPGRADE:
            self.parser_state = PARSER_IDLE
            self.body_complete()

    @property
    def remaining_bytes(self) -> int:
        """How many bytes of a body of declared length have not been parsed."""
        return self._declared_bytes - self._body_bytes

    @property
    def is_far_from_complete(self) -> bool:
        """Whether too much of the body that is being parsed is unread to read it after the response."""
        if self.parser_state is not PARSER_BODY:
            return False
        return unread_bytes(self._declared_bytes, self._body_bytes) > MAX_UNREAD_BYTES

    def parse_piece(self) -> RequestError | None:
        """Parse the next piece of the unparsed bytes; the error, if any, is why the request must be rejected."""
        data, size_bytes = self._unparsed, len(self._unparsed)
        if size_bytes > _PIECE_BYTES or self.parser_state is PARSER_HEAD:
            size_bytes = self._piece_bytes(size_bytes)
        is_last = size_bytes == len(data)
        piece = data if is_last else memoryview(data)[:size_bytes]
        self._unparsed = b"" if is_last else memoryview(data)[size_bytes:]
        state_before, body_bytes_before = self.parser_state, self._body_bytes
        self._begun = 0
        parsed_bytes, error = self._feed_parser(piece)
        if error is not None or self.parser_state is PARSER_IDLE or self.parser_state is PARSER_STOPPED:
            return error
        if self._begun == 0:
            error = self._count(parsed_bytes - (self._body_bytes - body_bytes_before), state_before)
        elif self._begun == 1 and state_before is PARSER_IDLE:
            error = self._count(parsed_bytes - self._body_bytes, state_before)
        # If the request began within the piece, its share is unknown, but less than a piece.
        if self.parser_state is _UPGRADE and error is None:
            self._unparsed = memoryview(data)[parsed_bytes:]
            error = self._parse_again()
        return error

    def _piece_bytes(self, available_bytes: int) -> int:
        """How much to parse at once: little, unless it surely belongs to one request."""
        if self.parser_state is PARSER_BODY:
            return min(available_bytes, max(_PIECE_BYTES, self.remaining_bytes))
        head_bytes = self._head_bytes if self.parser_state is PARSER_HEAD else 0
        return min(available_bytes, _PIECE_BYTES, self.limits.max_head_bytes + 1 - head_bytes)

    def _feed_parser(self, data: bytes | memoryview) -> tuple[int, RequestError | None]:
        """Return how many bytes the parser has read, and why it stopped, if not for an upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return int(upgrade.args[0]), None
        except httptools.HttpParserCallbackError as stopped:
            return len(data), self._error_of_callback(stopped)
        except httptools.HttpParserError:
            return len(data), MalformedRequest("the bytes are not an HTTP/1.1 request; check what sends them")
        return len(data), None

    def _error_of_callback(self, stopped: Exception) -> RequestError | None:
        if self.closing.close_requested:
            return None
        error, self._callback_error = self._callback_error, None
        if error is None:
            _log.error("a request could not be begun", exc_info=stopped.__context__)
            return ServerFailed()
        return error.with_traceback(None)

    def _count(self, size_bytes: int, state_before: ParserState) -> RequestError | None:
        """Count bytes outside the body, parsed from ``state_before`` on; the error is the limit they exceed."""
        if state_before is not PARSER_BODY:
            self._head_bytes += size_bytes
            if self.parser_state is PARSER_HEAD and self._head_bytes > self.limits.max_head_bytes:
                return self.limits.head_too_large()
            return None
        self._framing_bytes += size_bytes
        if self._framing_bytes > self.limits.max_head_bytes:
            return self.limits.framing_too_large()
        if self._framing_bytes + self._body_bytes > self.limits.max_request_bytes:
            self.closing.close_now()
        return None

    def _parse_again(self) -> RequestError | None:
        """Parse a head again without its Upgrade headers."""
        head = heads.without_upgrade(self.method, self.url, self.http_version, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_keep_alive=True)
        _, error = self._feed_parser(head)
        return error


class _ConnectionClosed(Exception):
    """Stops the parser: what it reads comes after the last response."""
