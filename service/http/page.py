"""The page of GET /, where a browser tries the models, and the live view of GET /status: their files and data.

The files are plain HTML, CSS and JavaScript modules in ``static/page``, and need no other server. The page predicts
through the same paths as any other client. All addresses in it are relative, so that it works behind a proxy's path
prefix.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from service.errors import NotFound
from service.http.codecs import media_types
from service.http.page_model import CARD, card_file, document
from service.http.protocols.open_inference_v1 import ALIVE
from service.inference.repository import Repository

_FOLDER: Final = Path(__file__).with_name("static") / "page"
_VERSION: Final = "/page/models/{name}/versions/{version}"
# The pages beside GET /, by path.
_PAGES: Final[Mapping[str, str]] = {"/status": "status.html"}
PATTERNS: Final = (*_PAGES, "/page/{file}", _VERSION, f"{_VERSION}/{{file}}")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Everything comes from this server's files: no inline scripts or styles, and no other origin. Pictures may also be made
# in the page. https://www.w3.org/TR/CSP3/
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A card comes with a model: it may show its own styles and pictures, and do nothing.
_CARD_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
# Files and data change with a new server or model: a browser keeps them, and asks each time whether they changed.
_HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
_CARD_HEADERS: Final = {**_HEADERS, "content-security-policy": _CARD_POLICY}
_JSON: Final = b"application/json"
_HTML: Final = b"text/html"


class _File:
    """A file as it is sent, with its entity tag."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str] = _HEADERS) -> None:
        self._content = content
        self._media_type = media_type
        self._tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        self._headers = {**headers, "etag": self._tag}

    async def response(self, request: HttpRequest) -> HttpResponse:
        """The file, or 304 if the browser has it already."""
        known = (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(","))
        if self._tag in known:
            return HttpResponse(status_code=304, headers=self._headers)
        return HttpResponse(self._content, media_type=self._media_type, headers=self._headers)


def router(repository: Repository, models_dir: Path) -> APIRouter:
    """The pages, their files, and what they show of the versions in ``models_dir``."""
    routes = APIRouter(include_in_schema=False)
    files = {path.name: _File(path.read_bytes(), _TYPES[path.suffix]) for path in _FOLDER.iterdir()}

    @routes.get("/")
    async def index(request: HttpRequest) -> HttpResponse:
        """The page for browsers; other clients get what the protocol of ``/v1`` answers."""
        accept = request.headers.get("accept", "").encode("latin-1")
        if media_types.preferred(accept, (_JSON, _HTML)) == _HTML:
            response = await files["index.html"].response(request)
        else:
            response = HttpResponse(ALIVE.body, media_type=_JSON.decode())
        response.headers["vary"] = "accept"
        return response

    @routes.get("/page/{file}")
    async def file(request: HttpRequest, file: str) -> HttpResponse:
        if file not in files:
            raise NotFound(f"there is no file {file!r:.60} of the page; there are: {', '.join(sorted(files))}")
        return await files[file].response(request)

    @routes.get(_VERSION)
    async def version(request: HttpRequest, name: str, version: str) -> dict[str, Any]:
        model = repository.find(name, version)
        request.scope["state"]["record"].model = name
        found = await asyncio.to_thread(document, model, models_dir / name / version)
        return {**found, "versions": repository.statuses(name)}

    @routes.get(f"{_VERSION}/{{file}}")
    async def card(request: HttpRequest, name: str, version: str, file: str) -> HttpResponse:
        model = repository.find(name, version)
        request.scope["state"]["record"].model = name
        content = await asyncio.to_thread(card_file, model, models_dir / name / version, file)
        return await _File(content, CARD[file], _CARD_HEADERS).response(request)

    for path, name in _PAGES.items():
        routes.add_api_route(path, files[name].response, methods=["GET"])
    return routes
