"""A connection is closed once no request was under way for the keep-alive time, and one timer is enough for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.http.admission import Arrival
from service.http.limits import BodyBudget
from service.http.messages import JSON_HEADERS, Request, Response
from service.http.paths import AnyProtocol, RouteTable
from service.http.predict import Predict, Reply
from service.http.protocols.native import NativeProtocol
from service.http.transport.fast_path import FastPathContext, FastPathProtocol, protocol_of
from service.http.transport.middleware import Bounds, RequestIds
from service.lifecycle import Lifecycle
from service.requests import RequestRecord, RequestTracker

TIMEOUT_S = 75
REQUEST = b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}"
ANSWER = Response(200, JSON_HEADERS, b"{}")


class Timer:
    def __init__(self, at_s: float, call: Callable[[], None]) -> None:
        self.at_s = at_s
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose time passes when it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        self.timers = [*self.pending(), Timer(self.now_s + delay_s, call)]
        return self.timers[-1]

    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]

    def wait(self, seconds: float) -> None:
        ends_at_s = self.now_s + seconds
        while due := [timer for timer in self.pending() if timer.at_s <= ends_at_s]:
            timer = min(due, key=lambda timer: timer.at_s)
            timer.cancel()
            self.now_s = timer.at_s
            timer.call()
        self.now_s = ends_at_s


class Line(asyncio.Transport):
    closed = False
    answers = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answers += data.count(b"HTTP/1.1 200")

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None:
        pass


class Later(Predict):
    """Answers when it is told."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []

    def __call__(
        self,
        _protocol: AnyProtocol,
        _request: Request,
        _record: RequestRecord,
        reply: Reply,
        _arrival: Arrival | None = None,
    ) -> None:
        self.replies.append(reply)

    def answer(self) -> None:
        self.replies.pop(0)(ANSWER)


class Connected:
    """A client, from the server's side."""

    def __init__(self) -> None:
        self.loop, self.line, self.predict = Loop(), Line(), Later()
        tracker = RequestTracker([], lambda _: None, self.loop.time)
        door = FastPathContext(
            self.predict,
            tracker,
            Lifecycle(lambda _: None),
            RequestIds(),
            Bounds(1000, 10.0),
            BodyBudget(1000),
            RouteTable([NativeProtocol(1000)]),
        )
        config = uvicorn.Config(ignore, log_config=None, ws="none", lifespan="off", timeout_keep_alive=TIMEOUT_S)
        protocol: Any = protocol_of(door)
        self.protocol: FastPathProtocol = protocol(config, ServerState(), {}, _loop=self.loop)
        self.protocol.connection_made(self.line)


async def ignore(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    raise AssertionError("only predictions are asked for")


@pytest.fixture
def connected() -> Connected:
    async def connect() -> Connected:
        return Connected()

    return asyncio.run(connect())


def in_loop(story: Callable[[], None]) -> None:
    async def run() -> None:
        story()

    asyncio.run(run())


def test_a_silent_client_is_closed(connected: Connected) -> None:
    connected.loop.wait(TIMEOUT_S - 0.1)
    assert not connected.line.closed
    connected.loop.wait(0.2)
    assert connected.line.closed


def test_the_time_counts_from_the_last_answer_with_one_timer(connected: Connected) -> None:
    def story() -> None:
        for _ in range(100):
            connected.loop.wait(1)
            connected.protocol.data_received(REQUEST)
            connected.predict.answer()
        assert connected.line.answers == 100
        assert len(connected.loop.pending()) == 1
        connected.loop.wait(TIMEOUT_S - 0.1)
        assert not connected.line.closed
        connected.loop.wait(0.2)
        assert connected.line.closed

    in_loop(story)


def test_a_request_under_way_is_waited_for(connected: Connected) -> None:
    def story() -> None:
        connected.protocol.data_received(REQUEST)
        connected.loop.wait(10 * TIMEOUT_S)
        assert not connected.line.closed
        connected.predict.answer()
        connected.loop.wait(TIMEOUT_S - 0.1)
        assert not connected.line.closed
        connected.loop.wait(0.2)
        assert connected.line.closed

    in_loop(story)


def test_a_connection_that_is_gone_leaves_no_timer(connected: Connected) -> None:
    def story() -> None:
        connected.protocol.data_received(REQUEST)
        connected.predict.answer()
        connected.protocol.connection_lost(None)
        assert connected.loop.pending() == []

    in_loop(story)
