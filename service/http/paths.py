"""The one route table: path pattern → protocol, read by the fast path, by FastAPI and by OpenAPI."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from service.http.protocols.base import Endpoint, Resource, WireProtocol

AnyProtocol = WireProtocol[Any]

_CACHED: Final = 256  # clients send few different URLs, again and again


class Route(NamedTuple):
    """One path that a protocol answers POST on."""

    pattern: str
    protocol: AnyProtocol
    endpoint: Endpoint


class ResourceRoute(NamedTuple):
    """One path that a protocol answers without a prediction."""

    pattern: str
    protocol: AnyProtocol
    resource: Resource


class RouteMatch(NamedTuple):
    """The route of a URL, and what the URL says."""

    path: str
    route: str
    protocol: AnyProtocol
    model: str | None
    version: str | None
    query: str | None


class RouteTable:
    """The routes of all ``protocols``. Raises `ValueError` if two of them have the same path.

    URLs may begin with ``root_path``, which is ignored.
    """

    def __init__(self, protocols: Sequence[AnyProtocol], root_path: str = "") -> None:
        self._root = root_path.encode("ascii")
        self.routes = tuple(
            Route(pattern, protocol, endpoint) for protocol in protocols for pattern, endpoint in protocol.paths.items()
        )
        self.resources = tuple(
            ResourceRoute(pattern, protocol, resource)
            for protocol in protocols
            for pattern, resource in protocol.resources.items()
        )
        every: list[Route | ResourceRoute] = [*self.routes, *self.resources]
        self._by_pattern = {route.pattern: route for route in every}
        if len(self._by_pattern) < len(every):
            twice = [pattern for pattern, count in Counter(route.pattern for route in every).items() if count > 1]
            raise ValueError(f"two protocols have the same path: {', '.join(twice)}")
        owners: dict[str, set[AnyProtocol]] = {}
        for route in every:
            owners.setdefault(first_segment(route.pattern), set()).add(route.protocol)
        self._by_segment = {name: next(iter(each)) for name, each in owners.items() if name and len(each) == 1}
        self._expressions = [(_expression(route.pattern), route) for route in self.routes]
        self.match = lru_cache(maxsize=_CACHED)(self._match)

    def protocol_of(self, pattern: str) -> AnyProtocol | None:
        """The protocol of a route, by its pattern."""
        route = self._by_pattern.get(pattern)
        return None if route is None else route.protocol

    def protocol_below(self, path: str) -> AnyProtocol | None:
        """The only protocol with paths that begin like ``path``: its clients read the error for an unknown one."""
        return self._by_segment.get(first_segment(path))

    def _match(self, url: bytes) -> RouteMatch | None:
        below_root = url.removeprefix(self._root) if url.startswith(self._root + b"/") else url
        for expression, route in self._expressions:
            match = expression.fullmatch(below_root)
            if match is not None:
                parts = {name: part.decode("ascii") for name, part in match.groupdict().items() if part is not None}
                path = url.split(b"?", 1)[0].decode("ascii")
                model, version, query = (parts.get(name) for name in ("name", "version", "query"))
                return RouteMatch(path, route.pattern, route.protocol, model, version, query)
        return None


def first_segment(path: str) -> str:
    """What a path begins with, up to its second slash; empty for one that begins without a slash."""
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _expression(pattern: str) -> re.Pattern[bytes]:
    """The URLs of a pattern. Percent-encoded ones are left to FastAPI, which decodes them."""
    parts = re.split(r"\{(\w+)\}", pattern)
    found = "".join(f"(?P<{part}>[^/?%#]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(rf"{found}(?:\?(?P<query>[^#]*))?".encode())
