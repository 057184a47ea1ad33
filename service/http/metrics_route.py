"""GET /metrics: in the format and encoding that the client prefers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from service.http.codecs.media_types import MOST_ACCEPT_BYTES, media_type, preferred
from service.metrics.scrapes import Wanted
from service.metrics.text_formats import Format

Scrape = Callable[[Wanted], Awaitable[bytes]]

_FORMATS: Final = {b"text/plain": Format.TEXT, b"application/openmetrics-text": Format.OPENMETRICS}
# Of the text format and of OpenMetrics; a client may ask for others, too.
_VERSIONS: Final = (b"0.0.4", b"1.0.0")
_GZIP: Final = (b"gzip", b"x-gzip", b"*")
_DESCRIBED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The metrics",
        "content": {media.decode(): {"schema": {"type": "string"}} for media in _FORMATS},
    }
}


def router(scrape: Scrape) -> APIRouter:
    """The path of the metrics, which ``scrape`` gives as text."""
    routes = APIRouter()

    @routes.get("/metrics", tags=["metrics"], response_class=HttpResponse, responses=_DESCRIBED)
    async def metrics(request: HttpRequest) -> HttpResponse:
        """All metrics, in Prometheus's text format or, if `Accept` prefers it, as OpenMetrics with exemplars."""
        accept, encodings = (_sent(request, name) for name in ("accept", "accept-encoding"))
        wanted = Wanted(_format(accept), _takes_gzip(encodings))
        response = HttpResponse(await scrape(wanted), media_type=wanted.form.value)
        response.headers["vary"] = "accept, accept-encoding"
        if wanted.gzipped:
            response.headers["content-encoding"] = "gzip"
        return response

    return routes


def _sent(request: HttpRequest, name: str) -> bytes:
    return ",".join(request.headers.getlist(name)).encode("latin-1")[:MOST_ACCEPT_BYTES]


def _format(accept: bytes) -> Format:
    known = [each for each in accept.split(b",") if media_type(each).parameters.get(b"version", b"1.0.0") in _VERSIONS]
    return _FORMATS[preferred(b",".join(known), [*_FORMATS])]


def _takes_gzip(accept_encoding: bytes) -> bool:
    accepted = {media.name: media.parameters.get(b"q", b"1") for media in map(media_type, accept_encoding.split(b","))}
    quality = next((accepted[name] for name in _GZIP if name in accepted), b"0")
    return quality.strip(b"0.") != b""
