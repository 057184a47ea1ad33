"""Compresses large answers with gzip for clients that accept it: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3

Level 1 saves nearly as much of a prediction's JSON as level 6, in a fifth of its time. It runs in a thread, and leaves
the interpreter to the event loop meanwhile.
"""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import StartError
from service.http.codecs import media_types
from service.http.messages import Header, Headers, Response, by_name

_LEVEL: Final = 1
_LEAST_BYTES: Final = 1024  # smaller ones fit a packet anyway
_THREADS: Final = 1  # in each worker: the rest of the CPUs is for predictions
# Numbers as bytes hardly get smaller.
_TYPES: Final = (b"application/json", b"application/javascript", b"image/svg+xml")
_VARY: Final = (b"vary", b"accept-encoding")


class Compression:
    """Compresses answers of at least ``over_bytes``. Raises `StartError` if that is too small to be of use."""

    def __init__(self, over_bytes: int) -> None:
        if over_bytes < _LEAST_BYTES:
            raise StartError(
                f"--gzip-over-bytes (MLP_GZIP_OVER_BYTES) is {over_bytes}, expected 0 or at least {_LEAST_BYTES}; "
                "smaller answers get no faster"
            )
        self._over_bytes = over_bytes
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="gzip")

    def concerns(self, response: Response) -> bool:
        """Whether clients may choose how ``response`` is encoded."""
        if len(response.body) < self._over_bytes or response.status != 200:
            return False
        headers = dict(response.headers)
        media = media_types.media_type(headers.get(b"content-type", b"")).name
        return b"content-encoding" not in headers and (media in _TYPES or media.startswith(b"text/"))

    def negotiated(self, response: Response, accept_encoding: bytes | None) -> asyncio.Future[Response] | Response:
        """A response that `concerns` this: as it is, or compressed in a while."""
        if accept_encoding is None or not media_types.takes_gzip(accept_encoding):
            return Response(response.status, (*response.headers, _VARY), response.body)
        return asyncio.get_running_loop().run_in_executor(self._executor, _compressed, response)


class Compressor:
    """The ASGI middleware: compresses answers that are one piece. It stands within `Guard`."""

    def __init__(self, app: ASGIApp, *, compression: Compression) -> None:
        self._app = app
        self._compression = compression

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accept_encoding = by_name(scope["headers"]).get(b"accept-encoding")
        started: Message = {}

        async def compressing(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            if started:
                start, started = started, {}
                if not message.get("more_body", False):
                    start, message = await self._negotiated(start, message, accept_encoding)
                await send(start)
            await send(message)

        await self._app(scope, receive, compressing)

    async def _negotiated(
        self, start: Message, message: Message, accept_encoding: bytes | None
    ) -> tuple[Message, Message]:
        headers = tuple(header for header in start["headers"] if header[0] != b"content-length")
        response = Response(start["status"], headers, message.get("body", b""))
        if not self._compression.concerns(response):
            return start, message
        found = self._compression.negotiated(response, accept_encoding)
        chosen = found if isinstance(found, Response) else await found
        length = (b"content-length", b"%d" % len(chosen.body))
        return {**start, "headers": [length, *chosen.headers]}, {**message, "body": chosen.body}


def _compressed(response: Response) -> Response:
    gzip = zlib.compressobj(_LEVEL, wbits=16 + zlib.MAX_WBITS)
    body = gzip.compress(response.body) + gzip.flush()
    headers: Headers = tuple(_weak(header) for header in response.headers)
    return Response(response.status, (*headers, (b"content-encoding", b"gzip"), _VARY), body)


def _weak(header: Header) -> Header:
    """An entity tag that stands for both encodings."""
    name, value = header
    return (name, b"W/" + value) if name == b"etag" and not value.startswith(b"W/") else header
