"""Lets pages of other origins use the server from a browser: https://fetch.spec.whatwg.org/#http-cors-protocol

Credentials of the browser, such as cookies, are never allowed: a page sends its API key itself. So an attacker's page
gets no further than the attacker, and `*` is safe.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import StartError
from service.http.messages import Headers, Response, by_name
from service.http.transport.sending import send_response

_ANY: Final = "*"
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d+)?")
_CACHED: Final = 64
_ORIGIN_BYTES: Final = 256  # longer ones are not in the list
# What a page may read of an answer, beside what it always may.
_EXPOSED: Final = (
    b"x-request-id, retry-after, server-timing, x-model-warnings, inference-header-content-length, www-authenticate"
)
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (
        b"access-control-allow-headers",
        b"authorization, x-api-key, content-type, content-encoding, x-request-id, x-request-timeout-s, "
        b"inference-header-content-length, traceparent, tracestate",
    ),
    (b"access-control-max-age", b"600"),
)
VARY_BY_ORIGIN: Final = (b"vary", b"origin")


class Cors:
    """The headers for pages of ``origins``, such as ``https://a.example``, separated by commas, or ``*`` for all.

    Raises `StartError` for what is no origin.
    """

    def __init__(self, origins: str) -> None:
        names = [name for each in origins.split(",") if (name := each.strip())]
        for name in names:
            if name != _ANY and not _ORIGIN.fullmatch(name):
                raise StartError(
                    f"--cors-origins (MLP_CORS_ORIGINS) has {name!r:.100}, expected origins such as "
                    "https://shop.example, in lower case and without a path, separated by commas, or *"
                )
        self._any = _ANY in names
        self._origins = frozenset(name.encode() for name in names)
        self._cached = lru_cache(maxsize=_CACHED)(self._headers)

    def headers(self, origin: bytes | None) -> Headers:
        """What to add to an answer to a request with this ``origin`` header."""
        return self._cached(None if origin is None or len(origin) > _ORIGIN_BYTES else origin)

    def added(self, response: Response, origin: bytes | None) -> Response:
        """``response`` with these headers."""
        return Response(response.status, (*response.headers, *self.headers(origin)), response.body)

    def allows(self, origin: bytes) -> bool:
        """Whether pages of that origin may use the server."""
        return self._any or origin in self._origins

    def _headers(self, origin: bytes | None) -> Headers:
        exposed = (b"access-control-expose-headers", _EXPOSED)
        if self._any:
            return (b"access-control-allow-origin", b"*"), exposed
        if origin is None or not self.allows(origin):
            return (VARY_BY_ORIGIN,)
        return (b"access-control-allow-origin", origin), VARY_BY_ORIGIN, exposed


class Preflights:
    """The ASGI middleware that answers a browser's question whether a page may send a request. It stands in `Guard`."""

    def __init__(self, app: ASGIApp, *, cors: Cors) -> None:
        self._app = app
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. `Guard` adds the headers that all answers have."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = by_name(scope["headers"])
            origin = headers.get(b"origin")
            if origin is not None and b"access-control-request-method" in headers:
                await send_response(Response(204, _PREFLIGHT if self._cors.allows(origin) else (), b""), send)
                return
        await self._app(scope, receive, send)
