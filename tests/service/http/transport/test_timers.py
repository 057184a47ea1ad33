"""A connection is closed once it has been idle for the keep-alive time, and one timer is enough for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.http.admission import Arrival
from service.http.limits import BodyBudget, Limits
from service.http.messages import JSON_HEADERS, Request, Response
from service.http.predict import Predict, Reply
from service.http.transport.fast_path import protocol_factory
from service.http.transport.prediction_cycle import FastPathContext
from service.http.transport.request_ids import RequestIds
from service.lifecycle import Lifecycle
from service.requests import RequestRecord, RequestTracker
from tests.service.http.transport.both_paths import FakeTransport

TIMEOUT_S = 75
REQUEST = b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}"
ANSWER = Response(200, JSON_HEADERS, b"{}")


class FakeTimer:
    def __init__(self, at_s: float, call: Callable[[], None]) -> None:
        self.at_s = at_s
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """An event loop whose time passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.timers: list[FakeTimer] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> FakeTimer:
        self.timers = [*self.pending(), FakeTimer(self.now_s + delay_s, call)]
        return self.timers[-1]

    def pending(self) -> list[FakeTimer]:
        return [timer for timer in self.timers if not timer.cancelled]

    def wait(self, seconds: float) -> None:
        ends_at_s = self.now_s + seconds
        while due := [timer for timer in self.pending() if timer.at_s <= ends_at_s]:
            timer = min(due, key=lambda timer: timer.at_s)
            timer.cancel()
            self.now_s = timer.at_s
            timer.call()
        self.now_s = ends_at_s


class FakePredict(Predict):
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []

    def __call__(
        self, _request: Request, _record: RequestRecord, reply: Reply, _arrival: Arrival | None = None
    ) -> None:
        self.replies.append(reply)

    def answer(self) -> None:
        self.replies.pop(0)(ANSWER)


class Connection:
    """A connection to a fake service."""

    def __init__(self) -> None:
        self.loop, self.transport, self.predict = FakeLoop(), FakeTransport(), FakePredict()
        context = FastPathContext(
            RequestTracker([], lambda _: None, self.loop.time),
            RequestIds(),
            Limits(max_body_bytes=1000, receive_timeout_s=10.0, max_rows=10),
            BodyBudget(1000),
            self.predict,
            Lifecycle(lambda _: None),
        )
        config = uvicorn.Config(ignore, log_config=None, ws="none", lifespan="off", timeout_keep_alive=TIMEOUT_S)
        loop: Any = self.loop
        self.protocol = protocol_factory(context)(config, ServerState(), {}, loop)
        self.protocol.connection_made(self.transport)


async def ignore(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    raise AssertionError("only predictions are asked for")


@pytest.fixture
async def connection() -> Connection:
    return Connection()


pytestmark = pytest.mark.anyio


async def test_a_silent_client_is_closed(connection: Connection) -> None:
    connection.loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    connection.loop.wait(0.2)
    assert connection.transport.gone


async def test_the_time_counts_from_the_last_response_with_one_timer(connection: Connection) -> None:
    for _ in range(100):
        connection.loop.wait(1)
        connection.protocol.data_received(REQUEST)
        connection.predict.answer()
    assert connection.transport.sent.count(b"HTTP/1.1 200") == 100
    assert len(connection.loop.pending()) == 1
    connection.loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    connection.loop.wait(0.2)
    assert connection.transport.gone


async def test_a_request_in_progress_is_waited_for(connection: Connection) -> None:
    connection.protocol.data_received(REQUEST)
    connection.loop.wait(10 * TIMEOUT_S)
    assert not connection.transport.gone
    connection.predict.answer()
    connection.loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    connection.loop.wait(0.2)
    assert connection.transport.gone


async def test_a_lost_connection_leaves_no_timer(connection: Connection) -> None:
    connection.protocol.data_received(REQUEST)
    connection.predict.answer()
    connection.protocol.data_received(REQUEST[:-1])
    assert len(connection.loop.pending()) == 2
    connection.protocol.connection_lost(None)
    assert connection.loop.pending() == []
