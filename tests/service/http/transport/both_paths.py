"""One service in this process, on the fast path and on the FastAPI routes, over fake transports."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from service import app, metrics
from service.app import Service
from service.http.transport import fast_path
from service.http.transport.cached_heads import HeadCache
from service.http.transport.connection import BoundedProtocol
from service.settings import Settings
from tests.service.http.transport.fakes import FakeTransport

LIMIT_BYTES = 4096
CLOSED = b"<closed>"

on_both_paths = pytest.mark.parametrize("fast", [True, False], ids=["fast path", "FastAPI"])


class Client:
    """Sends bytes to one protocol, and waits for its responses."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self.transport = FakeTransport()
        self.protocol = protocol
        protocol.connection_made(self.transport)

    @property
    def received(self) -> bytes:
        return bytes(self.transport.sent)

    def send(self, data: bytes) -> None:
        if data and not self.transport.gone:
            self.protocol.data_received(data)

    async def settle(self) -> None:
        """Turn the event loop until no more responses come."""
        quiet, before = 0, -1
        while quiet < 8:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self.transport.sent) == before else 0
            before = len(self.transport.sent)

    async def ask(self, data: bytes) -> None:
        self.send(data)
        await self.settle()

    def end(self) -> None:
        """End the client's side and read on."""
        if not self.transport.gone and not self.protocol.eof_received():
            self.transport.close()

    def hang_up(self) -> None:
        self.protocol.connection_lost(None)


class BothPaths:
    """One service; its clients use the fast path or the FastAPI routes."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.heads: HeadCache = {}
        self.config = uvicorn.Config(service.app, log_config=None, access_log=False, ws="none", lifespan="off")
        self.config.load()
        context = service.fast_path
        self._fast = fast_path.protocol_factory(context, self.heads)
        self._fastapi = partial(BoundedProtocol, context=context)
        self._state = ServerState()

    @property
    def buffered_bytes(self) -> int:
        return self.service.fast_path.budget.buffered_bytes

    def client(self, *, fast: bool) -> Client:
        new_protocol: Callable[..., BoundedProtocol] = self._fast if fast else self._fastapi
        return Client(new_protocol(self.config, self._state, {}))

    async def responses(self, *parts: bytes) -> tuple[bytes, bytes]:
        """Each path's responses to ``parts``, sent one after the other, without ids and durations."""
        fast, fastapi = await self.raw_responses(*parts)
        return normal(fast), normal(fastapi)

    async def raw_responses(self, *parts: bytes, ends: bool = False) -> tuple[bytes, bytes]:
        """Each path's responses to ``parts``; if ``ends``, the client then ends its side and reads on."""
        received = []
        for fast in (True, False):
            client = self.client(fast=fast)
            for part in parts:
                await client.ask(part)
            if ends:
                client.end()
                await client.settle()
            received.append(client.received + (CLOSED if client.transport.closed else b""))
            client.hang_up()
            await client.settle()
        return received[0], received[1]


@asynccontextmanager
async def serving(
    models: Path,
    *,
    receive_timeout_s: float = 60,
    max_body_bytes: int = LIMIT_BYTES,
    max_buffered_bytes: int = 2**20,
    max_requests_per_connection: int = 0,
    **more: Any,
) -> AsyncIterator[BothPaths]:
    options = Settings(
        models=models,
        model="small",
        max_body_bytes=max_body_bytes,
        max_buffered_bytes=max_buffered_bytes,
        receive_timeout_s=receive_timeout_s,
        max_request_rows=50,
        max_requests_per_connection=max_requests_per_connection,
        **more,
    )
    service = app.build(options, None, metrics.alone())
    async with service.app.router.lifespan_context(service.app):
        yield BothPaths(service)


def statuses(responses: bytes) -> list[int]:
    """The statuses of all responses, in order; each must begin where the previous one ends."""
    found = []
    while responses and responses != CLOSED:
        head, responses = responses.split(b"\r\n\r\n", 1)
        found.append(int(head[9:12]))
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        if length and not responses.startswith((b"HTTP/1.1 ", CLOSED)):  # a response to HEAD has no body
            responses = responses[int(length[1]) :]
    return found


def normal(responses: bytes) -> bytes:
    """``responses`` without generated ids and durations."""
    responses = re.sub(rb"[0-9a-f]{12}-[0-9]+", b"<id>", responses)
    responses = re.sub(rb"dur=[0-9.]+", b"dur=<ms>", responses)
    return re.sub(
        rb"content-length: [0-9]+(?=\r\ncontent-type: application/problem)", b"content-length: <n>", responses
    )


def chunked(body: bytes, path: str = "/predict", pieces: int = 3) -> bytes:
    step = max(len(body) // pieces, 1)
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n".encode() + encoded
