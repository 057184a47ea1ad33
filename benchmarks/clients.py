"""Many clients in one process: they ask again and again over connections of their own, and keep what became of it."""

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
# A client that was refused or cut off comes back after this, as one in a hurry does.
_AGAIN_S: Final = 0.02


@dataclass
class Tally:
    """What became of the requests of some clients: answers by status, and how long they took.

    ``lost`` counts requests that were sent over a connection that was established and got no whole answer;
    ``refused`` the connections that could not be had, which loses nothing.
    """

    answers: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    lost: int = 0
    refused: int = 0

    def quantile_ms(self, share: float) -> float:
        """The time that this share of the answers took at most, in milliseconds."""
        ordered = sorted(self.took_s)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3 if ordered else float("nan")

    def median_ms(self) -> float:
        """The median time of an answer, in milliseconds."""
        return statistics.median(self.took_s) * 1e3 if self.took_s else float("nan")


class Client(asyncio.Protocol):
    """One connection that sends ``request`` whenever the one before was answered; `Clients` makes it.

    ``again`` says what comes after an answer: another request, or the end of the connection. The time of a request
    counts from ``since_s`` where that is given: from before the connection was there.
    """

    def __init__(
        self, request: bytes, tally: Tally, again: Callable[[], bool], gone: Callable[[], None], since_s: float | None
    ) -> None:
        self._request = request
        self._tally = tally
        self._again = again
        self._gone = gone
        self._since_s = since_s
        self._waits = False
        self._received = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take what came of an answer, and ask again once it is whole."""
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
        self._waits = False
        self._tally.answers[int(head[9:12])] += 1
        self._tally.took_s.append(time.perf_counter() - self._asked_s)
        if _CLOSES in head or not self._again():
            self.transport.abort() if _CLOSES in head else self.transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended is all the same
        """Whatever was asked and not answered is lost."""
        self._tally.lost += self._waits
        self._gone()

    def _ask(self) -> None:
        self._asked_s = time.perf_counter() if self._since_s is None else self._since_s
        self._since_s = None
        self._waits = True
        self.transport.write(self._request)


class Clients:
    """Clients of one server on ``port``, until `stop`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = False

    def keep_alive(self, count: int, request: bytes) -> Tally:
        """So many that ask over one connection each, and open another where that one ends."""
        tally = Tally()
        for _ in range(count):
            self._begin(self._ask_for_ever(request, tally, lambda: not self.stopped, connects=False))
        return tally

    def reconnecting(self, count: int, request: bytes) -> Tally:
        """So many that open a connection for each request, one after the other; a time counts from the connect on."""
        tally = Tally()
        for _ in range(count):
            self._begin(self._ask_for_ever(request, tally, lambda: False, connects=True))
        return tally

    def one_shot(self, per_s: float, request: bytes) -> Tally:
        """So many connections a second of one request each, whatever becomes of those before."""
        tally = Tally()

        async def open_them() -> None:
            started_s, opened = time.perf_counter(), 0
            while not self.stopped:
                while opened < (time.perf_counter() - started_s) * per_s:
                    opened += 1
                    self._begin(self._ask_once(request, tally, lambda: False, time.perf_counter()))
                await asyncio.sleep(1 / per_s)

        self._begin(open_them())
        return tally

    async def stop(self, within_s: float) -> None:
        """Ask no more; wait for what is still to be answered."""
        self.stopped = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_s)
            for task in late:
                task.cancel()

    def _begin(self, story: Any) -> None:
        task = asyncio.get_running_loop().create_task(story)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_for_ever(self, request: bytes, tally: Tally, again: Callable[[], bool], *, connects: bool) -> None:
        while not self.stopped:
            answered = sum(tally.answers.values())
            await self._ask_once(request, tally, again, time.perf_counter() if connects else None)
            if sum(tally.answers.values()) == answered:
                await asyncio.sleep(_AGAIN_S)

    async def _ask_once(self, request: bytes, tally: Tally, again: Callable[[], bool], since_s: float | None) -> None:
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


def run(story: Any) -> Any:
    """Run clients to their end; as many connections are allowed as the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return uvloop.run(story)
