"""A path prefix of the proxy before the server, which forwards it or strips it.

Both are answered alike, as ASGI's root_path means it: https://asgi.readthedocs.io/en/latest/specs/www.html#connection-scope
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import StartError
from service.http.paths import first_segment

_OPTION: Final = "--root-path (MLP_ROOT_PATH)"


class RootPath:
    """Tells the application its ``prefix``. GET of the prefix alone leads to the page, whose links are relative."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] == self._prefix and scope["method"] in {"GET", "HEAD"}:
            await RedirectResponse(f"{self._prefix}/")(scope, receive, send)
            return
        scope["root_path"] = self._prefix  # not in a copy: the router writes the route to this one
        await self._app(scope, receive, send)


def check(prefix: str, patterns: Iterable[str]) -> None:
    """Raise `StartError` if a path of the server begins like the prefix: a proxy may have stripped it, or not."""
    taken = [pattern for pattern in patterns if prefix and first_segment(pattern) == first_segment(prefix)]
    if taken:
        raise StartError(f"{_OPTION} is {prefix!r}, and the server has {taken[0]} itself; choose another prefix")
