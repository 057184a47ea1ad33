"""The page of GET /, where a browser tries the models, and its data. It predicts as any other client does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from service.http import live_view, page_files
from service.http.codecs import media_types
from service.http.page_files import File
from service.http.page_model import CARD, card_file, document
from service.http.protocols.open_inference_v1 import ALIVE
from service.inference.repository import Repository

_VERSION: Final = "/page/models/{name}/versions/{version}"
PATTERNS: Final = (live_view.PATH, page_files.PATTERN, _VERSION, f"{_VERSION}/{{file}}")
# A card comes with a model: it may show its own styles and pictures, and do nothing.
_CARD_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_CARD_HEADERS: Final = {**page_files.HEADERS, "content-security-policy": _CARD_POLICY}
_JSON: Final = b"application/json"
_HTML: Final = b"text/html"


def router(repository: Repository, models_dir: Path, *, has_live_view: bool = True) -> APIRouter:
    """The page, its files, and what it shows of the versions in ``models_dir``; also the live view, if it is here."""
    routes = APIRouter(include_in_schema=False)
    files = page_files.load(*(() if has_live_view else (live_view.PATH.strip("/"),)))
    page_files.add(routes, files)
    if has_live_view:
        routes.include_router(live_view.router(files))

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

    @routes.get(_VERSION)
    async def version(request: HttpRequest) -> HttpResponse:
        name, version = request.path_params["name"], request.path_params["version"]
        model = repository.find(name, version)
        request.scope["state"]["record"].model = name
        found = await asyncio.to_thread(document, model, models_dir / name / version)
        return HttpResponse(orjson.dumps({**found, "versions": repository.statuses(name)}), media_type=_JSON.decode())

    @routes.get(f"{_VERSION}/{{file}}")
    async def card(request: HttpRequest) -> HttpResponse:
        name, version, file = (request.path_params[each] for each in ("name", "version", "file"))
        model = repository.find(name, version)
        request.scope["state"]["record"].model = name
        content = await asyncio.to_thread(card_file, model, models_dir / name / version, file)
        return await File(content, CARD[file], _CARD_HEADERS).response(request)

    return routes
