"""One application in this process, for the tests of protocols: requests without a network, on its own loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from service import app, metrics
from service.lifecycle import State
from service.settings import Settings
from tests.service.http.transport.both_paths import BothPaths
from tests.service.running import post


class Application:
    """An application that serves the models of a folder."""

    def __init__(self, models: Path, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self.service = self._runner.run(self._built(Settings(models=models, **options)))
        self.service.lifecycle.advance(State.READY)

    async def _built(self, options: Settings) -> app.Service:
        return app.build(options, None, metrics.alone())

    def close(self) -> None:
        self._runner.close()

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer through FastAPI; a body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()

        async def response() -> httpx.Response:
            transport = httpx.ASGITransport(self.service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, content=content, headers=headers)

        return self._runner.run(response())

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def on_both_paths(self, path: str, body: bytes, *headers: str) -> tuple[bytes, bytes]:
        """What the fast path and FastAPI answer, without ids and durations."""
        return self.raw_on_both_paths(post(body, path, *headers))

    def raw_on_both_paths(self, request: bytes) -> tuple[bytes, bytes]:
        """The same for the bytes of a request."""

        async def response() -> tuple[bytes, bytes]:
            return await BothPaths(self.service).responses(request)

        return self._runner.run(response())
