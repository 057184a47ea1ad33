"""What stands between the network and the predictions, from the settings: keys, proxies, browsers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self

from fastapi import FastAPI

from service.http import openapi
from service.http.messages import Request
from service.http.paths import RouteTable
from service.http.transport.compression import Compression, Compressor
from service.http.transport.cors import Cors, Preflights
from service.http.transport.gate import Gate, PublicPaths
from service.http.transport.proxies import TrustedProxies
from service.keys.access import Access
from service.keys.buckets import Buckets
from service.keys.watching import WatchedKeys
from service.requests import RequestRecord
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Edge:
    """Its parts; those that are None are off."""

    keys: WatchedKeys | None
    public: PublicPaths
    proxies: TrustedProxies | None
    cors: Cors | None
    compression: Compression | None

    @classmethod
    def of(cls, options: Settings, buckets: Buckets) -> Self:
        """The parts that ``options`` ask for; ``buckets`` are the keys' limits. Raises `StartError`."""
        return cls(
            None if options.api_keys_file is None else WatchedKeys(options.api_keys_file, buckets),
            PublicPaths(options.public, () if options.health_route is None else (options.health_route,)),
            None if options.trusted_proxies is None else TrustedProxies(options.trusted_proxies),
            None if options.cors_origins is None else Cors(options.cors_origins),
            Compression(options.gzip_over_bytes) if options.gzip_over_bytes else None,
        )

    @property
    def access(self) -> Access | None:
        """What decides on requests by their keys."""
        return None if self.keys is None else self.keys.access

    def add_to(self, app: FastAPI, table: RouteTable, identify: Callable[[Request, RequestRecord], None]) -> None:
        """Add the middleware, and document it; what is added later stands before it."""
        if self.access is not None:
            openapi.require_keys(app, self.public.has)
            app.add_middleware(Gate, access=self.access, public=self.public, table=table, identify=identify)
        if self.cors is not None:
            app.add_middleware(Preflights, cors=self.cors)
        if self.compression is not None:
            app.add_middleware(Compressor, compression=self.compression)

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run beside the server."""
        return [] if self.keys is None else [self.keys.run()]
