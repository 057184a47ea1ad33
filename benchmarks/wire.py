"""In-memory connections to a service, to measure requests without sockets and the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

_KEEP_ALIVE_S: Final = 3600  # a busy machine may keep a connection waiting

NewProtocol = Callable[[uvicorn.Config, ServerState, dict[str, Any]], HttpToolsProtocol]


class Wire(asyncio.Transport):
    """The server's side of a connection; counts the writes in ``writes`` and discards the data."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ARG002 - discarded
        self.writes += 1

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        raise AssertionError("the server closed a keep-alive connection")

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - it has none
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Connections:
    """``count`` connections to one server."""

    def __init__(self, app: Any, protocol: NewProtocol, count: int) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws="none", lifespan="off", timeout_keep_alive=_KEEP_ALIVE_S
        )
        config.load()
        state = ServerState()
        self._protocols = [protocol(config, state, {}) for _ in range(count)]
        self._wires = [Wire() for _ in range(count)]
        for protocol_of_one, wire in zip(self._protocols, self._wires, strict=True):
            protocol_of_one.connection_made(wire)

    async def turn(self, request: bytes) -> None:
        """Each connection sends the request and gets a response, as in one turn of a busy server's event loop."""
        before = self._wires[-1].writes
        for protocol in self._protocols:
            protocol.data_received(bytes(bytearray(request)))  # a copy, as from a socket
        while self._wires[-1].writes == before:
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def request(body: bytes, content_type: str, query: str = "", headers: str = "") -> bytes:
    """A prediction request as wrk sends it."""
    lines = ["Host: 127.0.0.1:8101", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"POST /predict{query} HTTP/1.1", *lines, headers + "\r\n"]).encode() + body


async def constant(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
    """The ASGI application of bare uvicorn."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
