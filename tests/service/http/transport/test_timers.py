"""A connection that is idle for the keep-alive time is closed; one timer is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.service.http.transport.fakes import Connection
from tests.service.running import post

pytestmark = pytest.mark.anyio

TIMEOUT_S = 75
REQUEST = post(b"{}")


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


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
async def connection(loop: FakeLoop) -> Connection:
    return Connection(loop, TIMEOUT_S)


async def test_a_silent_client_is_closed(connection: Connection, loop: FakeLoop) -> None:
    loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    loop.wait(0.2)
    assert connection.transport.gone


async def test_the_time_counts_from_the_last_response_with_one_timer(connection: Connection, loop: FakeLoop) -> None:
    for _ in range(100):
        loop.wait(1)
        connection.protocol.data_received(REQUEST)
        connection.predict.answer()
    assert connection.transport.sent.count(b"HTTP/1.1 200") == 100
    assert len(loop.pending()) == 1
    loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    loop.wait(0.2)
    assert connection.transport.gone


async def test_a_request_in_progress_is_waited_for(connection: Connection, loop: FakeLoop) -> None:
    connection.protocol.data_received(REQUEST)
    loop.wait(10 * TIMEOUT_S)
    assert not connection.transport.gone
    connection.predict.answer()
    loop.wait(TIMEOUT_S - 0.1)
    assert not connection.transport.gone
    loop.wait(0.2)
    assert connection.transport.gone


async def test_a_lost_connection_leaves_no_timer(connection: Connection, loop: FakeLoop) -> None:
    connection.protocol.data_received(REQUEST)
    connection.predict.answer()
    connection.protocol.data_received(REQUEST[:-1])
    assert len(loop.pending()) == 2
    connection.protocol.connection_lost(None)
    assert loop.pending() == []
