"""The files of the page and of the live view, as they are sent.

They are plain HTML, CSS and JavaScript modules in ``static/page``, and need no other server. All addresses in them are
relative, so that they work behind a proxy's path prefix.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from service.errors import NotFound

PATTERN: Final = "/page/{file}"
_FOLDER: Final = Path(__file__).with_name("static") / "page"
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
# Files and data change with a new server or model: a browser keeps them, and asks each time whether they changed.
HEADERS: Final = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


class File:
    """A file as it is sent, with its entity tag."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str] = HEADERS) -> None:
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


def load(*unlinked: str) -> dict[str, File]:
    """All files by name. The pages' menus have no links to the ``unlinked`` addresses."""
    files = {}
    for path in _FOLDER.iterdir():
        content = path.read_bytes()
        if path.suffix == ".html":
            for address in unlinked:
                content = re.sub(
                    rb'^ *<a href="%b">.*\n' % re.escape(address.encode()), b"", content, flags=re.MULTILINE
                )
        files[path.name] = File(content, _TYPES[path.suffix])
    return files


def add(routes: APIRouter, files: Mapping[str, File]) -> None:
    """Add what the pages load."""

    @routes.get(PATTERN)
    async def file(request: HttpRequest) -> HttpResponse:
        file = request.path_params["file"]
        if file not in files:
            raise NotFound(f"there is no file {file!r:.60} of the page; there are: {', '.join(sorted(files))}")
        return await files[file].response(request)
