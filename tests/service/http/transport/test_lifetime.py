"""A connection closes after enough responses, or at a certain age, and no request is lost by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally
from service.http.transport.closing import LINGER_S
from service.http.transport.lifetime import Lifetime
from tests.service.http.transport.both_paths import Client, on_both_paths, serving, statuses
from tests.service.http.transport.fakes import Connection
from tests.service.http.transport.test_timers import FakeLoop
from tests.service.published import publish
from tests.service.running import PATIENCE_S, Running, post

pytestmark = pytest.mark.anyio

ONE = post(b'{"inputs": [[1, 2, 3, 4]]}')
PAGE = b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"
CLOSE = b"\r\nconnection: close\r\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


def test_limits_differ_by_a_tenth_between_connections() -> None:
    lifetime = Lifetime(max_age_s=100.0, max_requests=1000)
    ages_s = [lifetime.age_s() for _ in range(1000)]
    requests = [lifetime.requests() for _ in range(1000)]
    assert 90 <= min(ages_s) < 92
    assert 108 < max(ages_s) <= 110
    assert 900 <= min(requests) < 920
    assert 1080 < max(requests) <= 1100
    assert min(Lifetime(max_requests=1).requests() for _ in range(100)) == 1


def test_without_limits_there_are_none() -> None:
    assert Lifetime().age_s() == 0
    assert Lifetime().requests() > 10**15


@on_both_paths
async def test_the_last_response_closes_the_connection(models: Path, fast: bool) -> None:
    async with serving(models, max_requests_per_connection=3) as both:
        client = both.client(fast=fast)
        for request in (ONE, PAGE, ONE):
            assert CLOSE not in client.received
            assert not client.transport.closed
            await client.ask(request)
        assert statuses(client.received) == [200, 200, 200]
        assert client.received.count(CLOSE) == 1
        assert client.transport.ended, "the server's side is not ended"
        assert not client.transport.gone, "a request on its way would reset the connection"
        await client.ask(ONE)
        client.end()
        assert statuses(client.received) == [200, 200, 200]
        assert client.transport.gone


@on_both_paths
@pytest.mark.parametrize("first", [ONE, PAGE], ids=["prediction", "page"])
async def test_requests_that_have_arrived_are_answered_before_the_end(models: Path, fast: bool, first: bytes) -> None:
    async with serving(models, max_requests_per_connection=1) as both:
        client = both.client(fast=fast)
        await client.ask(first + ONE + PAGE + ONE)
        check_end(client, 4)


@on_both_paths
async def test_a_client_that_never_stops_sending_is_closed_all_the_same(models: Path, fast: bool) -> None:
    async with serving(models, max_requests_per_connection=1) as both:
        client = both.client(fast=fast)
        await client.ask(PAGE * 150)
        check_end(client, 102)


def check_end(client: Client, responses: int) -> None:
    assert statuses(client.received) == [200] * responses
    assert client.received.count(CLOSE) == 1
    assert CLOSE in client.received.rpartition(b"HTTP/1.1 ")[2]
    assert client.transport.ended


def connected(loop: FakeLoop) -> Connection:
    return Connection(loop, keep_alive_s=75, lifetime=Lifetime(max_age_s=5.0, jitter=lambda: 1.1))


async def test_an_old_connection_closes_after_its_next_response() -> None:
    loop = FakeLoop()
    connection = connected(loop)
    connection.send(ONE[:-1])
    loop.wait(5.4)
    connection.send(ONE[-1:])
    connection.predict.answer()
    assert CLOSE not in connection.transport.sent
    loop.wait(1)
    assert not connection.transport.closed, "a request may be on its way"
    connection.send(ONE)
    connection.predict.answer()
    assert CLOSE in connection.transport.sent
    assert connection.transport.ended
    loop.wait(LINGER_S)
    assert connection.transport.gone


async def test_an_old_idle_connection_closes_after_the_keep_alive_time() -> None:
    loop = FakeLoop()
    connection = connected(loop)
    loop.wait(74)
    assert not connection.transport.closed
    loop.wait(1)
    assert connection.transport.gone


async def test_no_timer_is_left_of_a_closed_connection() -> None:
    loop = FakeLoop()
    connected(loop).protocol.connection_lost(None)
    assert loop.pending() == []


@on_both_paths
@pytest.mark.parametrize(("limit", "closed"), [("requests-per-connection=20", 100), ("connection-age-s=1", 8)])
def test_no_request_is_lost_when_connections_close(models: Path, fast: bool, limit: str, closed: int) -> None:
    """1. Clients send as fast as they can. 2. Connections close at the limit. 3. No request is lost."""

    async def story() -> Tally:
        group = Clients(server.port)
        tally = group.keep_alive(8, ONE)
        while tally.closed < closed:
            await asyncio.sleep(0.01)
        await group.stop(PATIENCE_S)
        return tally

    with Running(models, f"--max-{limit}", f"--fast-path={fast}", workers=2) as server:
        tally = clients.run(story())
    assert (tally.lost, tally.refused, set(tally.answers)) == (0, 0, {200})
