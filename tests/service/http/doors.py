"""One service behind both doors, in this process: the same bytes to each, over connections that lie in memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service import app, metrics
from service.app import Service
from service.http.transport import connection, fast_path
from service.settings import Settings

LIMIT_BYTES = 4096


class Wire(asyncio.Transport):
    """The server's side of a connection that lies in memory: ``ended`` once it says no more, ``gone`` once closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.ended = self.gone = False
        self.reading = True

    @property
    def closed(self) -> bool:
        return self.ended or self.gone

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        if not self.gone:
            self.sent += data

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.gone = True

    def is_closing(self) -> bool:
        return self.gone

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return default

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Client:
    """Feeds bytes to one protocol and waits until it has nothing more to say."""

    def __init__(self, protocol: type[HttpToolsProtocol], config: uvicorn.Config, state: ServerState) -> None:
        self.wire = Wire()
        self.protocol = protocol(config, state, {})
        self.protocol.connection_made(self.wire)

    def send(self, data: bytes) -> None:
        if data and not self.wire.gone:
            self.protocol.data_received(data)

    async def settle(self) -> None:
        """Let the loop turn until an answer is out for all that was asked, or there is nothing left to run."""
        quiet, before = 0, -1
        while quiet < 8:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self.wire.sent) == before else 0
            before = len(self.wire.sent)

    def end(self) -> None:
        """Send no more, and listen on."""
        if not self.wire.gone and not self.protocol.eof_received():
            self.wire.close()

    def hang_up(self) -> None:
        self.protocol.connection_lost(None)


def statuses(answers: bytes) -> list[int]:
    """Of all responses in ``answers``, in order; each has to begin where the one before ends."""
    found = []
    while answers and answers != b"<closed>":
        head, answers = answers.split(b"\r\n\r\n", 1)
        found.append(int(head[9:12]))
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        if length and not answers.startswith((b"HTTP/1.1 ", b"<closed>")):  # those follow an answer to HEAD
            answers = answers[int(length[1]) :]
    return found


class Doors:
    """One service behind both doors."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.config = uvicorn.Config(service.app, log_config=None, access_log=False, ws="none", lifespan="off")
        self.config.load()
        self.state = ServerState()
        door = service.fast_path
        self.express = fast_path.protocol_of(door)
        self.plain = connection.protocol_of(door.tracker, door.ids, door.bounds, door.bodies)

    def client(self, *, through_express: bool) -> Client:
        return Client(self.express if through_express else self.plain, self.config, self.state)

    async def answers(self, *parts: bytes) -> tuple[bytes, bytes]:
        """What each door says to ``parts``, sent one after the other, but for what differs from time to time."""
        by_express, by_asgi = await self.raw_answers(*parts)
        return normal(by_express), normal(by_asgi)

    async def raw_answers(self, *parts: bytes, ends: bool = False) -> tuple[bytes, bytes]:
        """The same as it was sent; where the client ``ends``, it then sends no more, but listens."""
        said = []
        for through_express in (True, False):
            client = self.client(through_express=through_express)
            for part in parts:
                client.send(part)
                await client.settle()
            if ends:
                client.end()
                await client.settle()
            said.append(bytes(client.wire.sent) + (b"<closed>" if client.wire.closed else b""))
            client.hang_up()
            await client.settle()
        return said[0], said[1]


def normal(answer: bytes) -> bytes:
    """``answer`` without what differs from one time to the next: generated ids and durations."""
    answer = re.sub(rb"[0-9a-f]{12}-[0-9]+", b"<id>", answer)
    answer = re.sub(rb"dur=[0-9.]+", b"dur=<ms>", answer)
    return re.sub(rb"content-length: [0-9]+(?=\r\ncontent-type: application/problem)", b"content-length: <n>", answer)


@asynccontextmanager
async def running(models: Path, receive_timeout_s: float = 60, max_held_bytes: int = 2**20) -> AsyncIterator[Doors]:
    options = Settings(
        models=models,
        model="small",
        max_body_bytes=LIMIT_BYTES,
        max_buffered_bytes=max_held_bytes,
        receive_timeout_s=receive_timeout_s,
        max_request_rows=50,
    )
    service = app.build(options, None, metrics.alone())
    async with service.app.router.lifespan_context(service.app):
        yield Doors(service)


def post(body: bytes | dict[str, Any], path: str = "/predict", *headers: str, version: str = "1.1") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "host: test", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


def chunked(body: bytes, path: str = "/predict", pieces: int = 3) -> bytes:
    step = max(len(body) // pieces, 1)
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n".encode() + encoded
