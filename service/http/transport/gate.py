"""The ASGI middleware that lets requests through by their keys, before their bodies are read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from starlette._utils import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import RequestError, StartError
from service.http import problems
from service.http.messages import Request, Response, by_name
from service.http.paths import RouteTable
from service.http.transport.sending import send_response
from service.keys.access import Access
from service.requests import RequestRecord

# What probes ask needs no key: they have none, and learn nothing but the server's state.
_PROBES: Final = frozenset(
    {"/health", "/health/live", "/health/ready", "/health/startup", "/ping", "/v2/health/live", "/v2/health/ready"}
)
# What may be public, by the names of --public. A path that ends with a slash stands for all below it.
_GROUPS: Final = {
    "metrics": ("/metrics",),
    "docs": ("/docs", "/docs/", "/openapi.json"),
    "page": ("/", "/status", "/page/", "/models", "/models/"),
}


class PublicPaths:
    """The paths that GET needs no key for: those of the probes, and of ``groups``, the names of --public.

    ``probes`` are further ones of health checks. Raises `StartError` for an unknown group.
    """

    def __init__(self, groups: str | None, probes: Collection[str] = ()) -> None:
        names = [name for each in (groups or "").split(",") if (name := each.strip())]
        if unknown := [name for name in names if name not in _GROUPS]:
            known = ", ".join(_GROUPS)
            raise StartError(f"--public (MLP_PUBLIC) has {', '.join(unknown):.100}, expected some of {known}")
        paths = [path for name in names for path in _GROUPS[name]]
        self._exact = _PROBES | set(probes) | set(paths)
        self._below = tuple(path for path in paths if path.endswith("/") and path != "/")

    def has(self, path: str) -> bool:
        """Whether GET of a path needs no key."""
        return path in self._exact or path.startswith(self._below)

    def admits(self, scope: Scope) -> bool:
        """Whether a request needs no key."""
        return scope["method"] in {"GET", "HEAD"} and self.has(get_route_path(scope))


class Gate:
    """Answers requests that ``access`` does not admit, in the form of their protocol. It stands within `Guard`.

    ``identify`` notes in a record which model a prediction is for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        public: PublicPaths,
        table: RouteTable,
        identify: Callable[[Request, RequestRecord], None],
    ) -> None:
        self._app = app
        self._access = access
        self._public = public
        self._table = table
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and not self._public.admits(scope):
            record: RequestRecord = scope["state"]["record"]
            try:
                self._access.admit(by_name(scope["headers"]), record)
            except RequestError as error:
                record.problem = problems.name_of(error)
                await send_response(self._refusal(scope, record, error), send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, record: RequestRecord, error: RequestError) -> Response:
        match = self._table.match(scope.get("raw_path", b"")) if scope["method"] == "POST" else None
        if match is not None:
            record.route = match.route
            self._identify(Request(match.model, match.version, None, {}, b""), record)
            return match.protocol.error(error, record.request_id)
        protocol = self._table.protocol_below(get_route_path(scope))
        respond = problems.response if protocol is None else protocol.error
        return respond(error, record.request_id)
