"""Many clients in one process, each with its own connections: they send requests, and record the outcomes."""

from __future__ import annotations

import asyncio
import resource
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_CLOSES: Final = b"connection: close"
# A client that was refused or cut off tries again after this.
_AGAIN_S: Final = 0.02


@dataclass
class Tally:
    """The outcomes of the requests of some clients: responses and their latencies, by status.

    ``lost`` counts requests that were sent over an established connection and got no complete response; ``refused``
    counts connections that could not be established, which lose nothing; ``closed`` those that a response closed.
    """

    answers: Counter[int] = field(default_factory=Counter)
    took_s: dict[int, list[float]] = field(default_factory=dict)
    lost: int = 0
    refused: int = 0
    closed: int = 0

    def quantile_ms(self, share: float, status: int | None = None) -> float:
        """The quantile ``share`` of the latency, in milliseconds; of the responses with ``status`` if it is given."""
        selected = self.took_s.values() if status is None else [self.took_s.get(status, [])]
        ordered = sorted(chain.from_iterable(selected))
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3 if ordered else float("nan")

    def median_ms(self) -> float:
        """The median latency, in milliseconds."""
        return self.quantile_ms(0.5)

    def clear(self) -> None:
        """Forget all outcomes."""
        self.answers.clear()
        self.took_s.clear()
        self.lost = self.refused = self.closed = 0

    def copy(self) -> Tally:
        """The outcomes so far."""
        took_s = {status: times.copy() for status, times in self.took_s.items()}
        return Tally(self.answers.copy(), took_s, self.lost, self.refused, self.closed)


class _Pace:
    """When a client sends: after ``first_s``, then every ``interval_s``; at once if it is late."""

    def __init__(self, interval_s: float, first_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = time.perf_counter() + first_s

    def pause_s(self) -> float:
        """How long to wait before the next request."""
        now_s = time.perf_counter()
        at_s = max(self._next_s, now_s)
        self._next_s = at_s + self._interval_s
        return at_s - now_s


class Client(asyncio.Protocol):
    """One connection that sends ``request`` whenever the one before was answered; `Clients` makes it.

    ``again`` says whether another request follows a response; otherwise the connection is closed. Latency is measured
    from ``since_s`` if it is given, which is before the connection was established.
    """

    def __init__(
        self,
        request: bytes,
        tally: Tally,
        again: Callable[[], bool],
        gone: Callable[[], None],
        since_s: float | None,
        pace: _Pace | None,
    ) -> None:
        self._request = request
        self._tally = tally
        self._again = again
        self._gone = gone
        self._since_s = since_s
        self._pace = pace
        self._pending = False
        self._received = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Collect a response, and send the next request once it is complete."""
        self._received += data
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(_LENGTH) + len(_LENGTH)
        complete = end + len(_HEAD_END) + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._received) < complete:
            return
        del self._received[:complete]
        self._pending = False
        status = int(head[9:12])
        self._tally.answers[status] += 1
        self._tally.took_s.setdefault(status, []).append(time.perf_counter() - self._sent_s)
        self._tally.closed += _CLOSES in head
        if _CLOSES in head or not self._again():
            self.transport.abort() if _CLOSES in head else self.transport.close()
        elif self._pace is None:
            self._send()
        else:
            asyncio.get_running_loop().call_later(self._pace.pause_s(), self._send)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        """A request that was not answered is lost."""
        self._tally.lost += self._pending
        self._gone()

    def _send(self) -> None:
        if self.transport.is_closing():
            return
        self._sent_s = time.perf_counter() if self._since_s is None else self._since_s
        self._since_s = None
        self._pending = True
        self.transport.write(self._request)


class Clients:
    """Clients of one server on ``port``, until `stop`; over ``tls`` if it is given."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = False

    def keep_alive(self, count: int, request: bytes) -> Tally:
        """``count`` clients with one connection each, which open another if it is closed."""
        tally = Tally()
        for _ in range(count):
            self._begin(self._repeat(request, tally, lambda: not self.stopped, connects=False))
        return tally

    def paced(self, count: int, per_s: float, request: bytes) -> Tally:
        """``count`` clients that send ``per_s`` requests a second together, over one connection each.

        A client that is answered too late sends again at once, and does not make up for what it missed.
        """
        tally = Tally()
        for number in range(count):
            pace = _Pace(count / per_s, number / per_s)
            self._begin(self._repeat(request, tally, lambda: not self.stopped, connects=False, pace=pace))
        return tally

    def reconnecting(self, count: int, request: bytes) -> Tally:
        """``count`` clients that open a connection for each request; latency is measured from the connect on."""
        tally = Tally()
        for _ in range(count):
            self._begin(self._repeat(request, tally, lambda: False, connects=True))
        return tally

    def one_shot(self, per_s: float, request: bytes) -> Tally:
        """``per_s`` connections a second with one request each, whatever happens to earlier ones."""
        tally = Tally()

        async def open_them() -> None:
            started_s, opened = time.perf_counter(), 0
            while not self.stopped:
                while opened < (time.perf_counter() - started_s) * per_s:
                    opened += 1
                    self._begin(self._connect(request, tally, lambda: False, time.perf_counter()))
                await asyncio.sleep(1 / per_s)

        self._begin(open_them())
        return tally

    async def stop(self, within_s: float) -> None:
        """Send no more requests, and wait for the responses that are due."""
        self.stopped = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_s)
            for task in late:
                task.cancel()

    def _begin(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _repeat(
        self, request: bytes, tally: Tally, again: Callable[[], bool], *, connects: bool, pace: _Pace | None = None
    ) -> None:
        while not self.stopped:
            if pace is not None:
                await asyncio.sleep(pace.pause_s())
            answered = sum(tally.answers.values())
            await self._connect(request, tally, again, time.perf_counter() if connects else None, pace)
            if sum(tally.answers.values()) == answered:
                await asyncio.sleep(_AGAIN_S)

    async def _connect(
        self,
        request: bytes,
        tally: Tally,
        again: Callable[[], bool],
        since_s: float | None,
        pace: _Pace | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        gone = loop.create_future()

        def end() -> None:
            if not gone.done():
                gone.set_result(None)

        try:
            await loop.create_connection(
                lambda: Client(request, tally, again, end, since_s, pace), "127.0.0.1", self._port, ssl=self._tls
            )
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
    """Run clients to their end, with as many connections as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return uvloop.run(coroutine)
