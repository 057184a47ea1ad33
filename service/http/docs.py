"""The page of GET /docs: Swagger UI with scripts and styles from fastapi-swagger; no other server is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.staticfiles import StaticFiles

from service.errors import NotFound

_FOLDER: Final = Path(__file__).with_name("static")
_PAGE: Final = "docs.html"
# Where fastapi-swagger has the files of Swagger UI. It is not imported.
_SWAGGER_UI: Final = ("fastapi_swagger", "resources")
_FILES: Final = frozenset({"docs.js", "favicon-32x32.png", "swagger-ui-bundle.js", "swagger-ui.css"})
# Swagger UI adds style elements; scripts come from files alone. https://www.w3.org/TR/CSP3/
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_PAGE_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_FILE_HEADERS: Final = {"cache-control": "public, max-age=86400"}


def router() -> APIRouter:
    """The page and its files. All addresses in them are relative, so that they work behind a proxy's path prefix."""
    routes = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=_FOLDER, packages=[_SWAGGER_UI])

    @routes.get("/docs")
    async def page(request: HttpRequest) -> HttpResponse:
        return _with_headers(await files.get_response(_PAGE, request.scope), _PAGE_HEADERS)

    @routes.get("/docs/{file}")
    async def file(request: HttpRequest) -> HttpResponse:
        file = request.path_params["file"]
        if file not in _FILES:
            raise NotFound(f"there is no file {file!r:.60} of /docs; there are: {', '.join(sorted(_FILES))}")
        # Nobody needs a part of a file, and a bad range would be answered with plain text.
        request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"range"]
        return _with_headers(await files.get_response(file, request.scope), _FILE_HEADERS)

    return routes


def _with_headers(response: HttpResponse, headers: dict[str, str]) -> HttpResponse:
    response.headers.update(headers)
    return response
