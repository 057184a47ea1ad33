"""Many clients in one process, each sending requests over its own connection, and a tally of the outcomes."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_CLOSES: Final = b"connection: close"
# The pause before a client reconnects after it was refused or disconnected.
_RETRY_S: Final = 0.02


@dataclass
class Tally:
    """The outcomes of the requests of some clients: responses by status, and their latencies.

    ``lost`` counts requests that were sent over an established connection and got no complete response; ``refused``
    counts connections that could not be established, which lose nothing; ``closed`` those that a response closed.
    """

    answers: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    lost: int = 0
    refused: int = 0
    closed: int = 0

    def quantile_ms(self, share: float) -> float:
        """The quantile ``share`` of the latency, in milliseconds."""
        ordered = sorted(self.took_s)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3 if ordered else float("nan")

    def median_ms(self) -> float:
        """The median latency, in milliseconds."""
        return statistics.median(self.took_s) * 1e3 if self.took_s else float("nan")


class Client(asyncio.Protocol):
    """One connection that sends ``request``, and sends it again after each response while ``again`` returns true.

    ``gone`` is called once the connection has ended. With ``since_s``, the first latency is measured from that time,
    so it includes connecting.
    """

    def __init__(
        self, request: bytes, tally: Tally, again: Callable[[], bool], gone: Callable[[], None], since_s: float | None
    ) -> None:
        self._request = request
        self._tally = tally
        self._again = again
        self._gone = gone
        self._since_s = since_s
        self._pending = False
        self._received = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect a response; once it is complete, send the next request or close."""
        self._received += data
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(_LENGTH) + len(_LENGTH)
        whole = end + len(_HEAD_END) + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._received) < whole:
            return
        del self._received[:whole]
        self._pending = False
        self._tally.answers[int(head[9:12])] += 1
        self._tally.took_s.append(time.perf_counter() - self._sent_s)
        self._tally.closed += _CLOSES in head
        if _CLOSES in head or not self._again():
            self.transport.abort() if _CLOSES in head else self.transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause does not matter
        """Count a request without a response as lost."""
        self._tally.lost += self._pending
        self._gone()

    def _send(self) -> None:
        self._sent_s = time.perf_counter() if self._since_s is None else self._since_s
        self._since_s = None
        self._pending = True
        self.transport.write(self._request)


class Clients:
    """Clients of the server on ``port``, until `stop`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = False

    def keep_alive(self, count: int, request: bytes) -> Tally:
        """``count`` clients with a persistent connection each, reopened if it ends."""
        tally = Tally()
        for _ in range(count):
            self._start(self._repeat(request, tally, lambda: not self.stopped, connects=False))
        return tally

    def reconnecting(self, count: int, request: bytes) -> Tally:
        """``count`` clients that open a connection per request, one after another; latency includes connecting."""
        tally = Tally()
        for _ in range(count):
            self._start(self._repeat(request, tally, lambda: False, connects=True))
        return tally

    def one_shot(self, per_s: float, request: bytes) -> Tally:
        """``per_s`` new connections per second with one request each, regardless of the earlier ones."""
        tally = Tally()

        async def open_them() -> None:
            started_s, opened = time.perf_counter(), 0
            while not self.stopped:
                while opened < (time.perf_counter() - started_s) * per_s:
                    opened += 1
                    self._start(self._connect(request, tally, lambda: False, time.perf_counter()))
                await asyncio.sleep(1 / per_s)

        self._start(open_them())
        return tally

    async def stop(self, within_s: float) -> None:
        """Send no more requests; wait up to ``within_s`` for the pending responses."""
        self.stopped = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_s)
            for task in late:
                task.cancel()

    def _start(self, client: Any) -> None:
        task = asyncio.get_running_loop().create_task(client)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _repeat(self, request: bytes, tally: Tally, again: Callable[[], bool], *, connects: bool) -> None:
        while not self.stopped:
            answered = sum(tally.answers.values())
            await self._connect(request, tally, again, time.perf_counter() if connects else None)
            if sum(tally.answers.values()) == answered:
                await asyncio.sleep(_RETRY_S)

    async def _connect(self, request: bytes, tally: Tally, again: Callable[[], bool], since_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        gone = loop.create_future()

        def end() -> None:
            if not gone.done():
                gone.set_result(None)

        try:
            await loop.create_connection(lambda: Client(request, tally, again, end, since_s), "127.0.0.1", self._port)
        except OSError:
            tally.refused += 1
            return
        await gone


def post(body: bytes, kind: str, path: str = "/predict") -> bytes:
    """A prediction request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def get(path: str) -> bytes:
    """A GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()


def run(coroutine: Any) -> Any:
    """Run a coroutine that uses `Clients`, with the file limit raised to the maximum."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return uvloop.run(coroutine)
