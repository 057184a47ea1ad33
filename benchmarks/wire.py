"""A service and connections to it in memory: what a request costs without sockets and without the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

NewProtocol = Callable[[uvicorn.Config, ServerState, dict[str, Any]], HttpToolsProtocol]


class Wire(asyncio.Transport):
    """The server's side of a connection; ``answers`` counts what was written, which is not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ARG002
        self.answers += 1

    def close(self) -> None:
        raise AssertionError("the server closed a connection that it should keep")

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Connections:
    """``count`` connections to one server."""

    def __init__(self, app: Any, protocol: NewProtocol, count: int) -> None:
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off")
        config.load()
        state = ServerState()
        self._protocols = [protocol(config, state, {}) for _ in range(count)]
        self._wires = [Wire() for _ in range(count)]
        for protocol_of_one, wire in zip(self._protocols, self._wires, strict=True):
            protocol_of_one.connection_made(wire)

    async def turn(self, request: bytes) -> None:
        """Each connection sends the request and gets its answer, as in one turn of a busy server's loop."""
        before = self._wires[-1].answers
        for protocol in self._protocols:
            protocol.data_received(bytes(bytearray(request)))  # of its own, as a socket's bytes are
        while self._wires[-1].answers == before:
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def request(body: bytes, content_type: str, query: str = "", headers: str = "") -> bytes:
    """A prediction as wrk sends it."""
    lines = ["Host: 127.0.0.1:8101", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([f"POST /predict{query} HTTP/1.1", *lines, headers + "\r\n"]).encode() + body


async def constant(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    """The ASGI application of the bare uvicorn."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
