"""The live view of GET /status: how the server does. It is on the port of the metrics, which it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter
from starlette.responses import RedirectResponse

from service.http import page_files
from service.http.page_files import File

PATH: Final = "/status"
# The page and the API, which are on the other port.
_ELSEWHERE: Final = ("./", "docs")


def router(files: Mapping[str, File]) -> APIRouter:
    """The live view, beside the page, which has its ``files``."""
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PATH, files["status.html"].response, methods=["GET"])
    return routes


def router_alone() -> APIRouter:
    """The live view with its files, on a port without the page: GET / leads to it."""
    files = page_files.load(*_ELSEWHERE)
    routes = router(files)
    page_files.add(routes, files)
    routes.add_api_route("/", _lead_here, methods=["GET"])
    return routes


async def _lead_here() -> RedirectResponse:
    return RedirectResponse(PATH.strip("/"))
