"""The benchmark clients tally each request as answered, lost, or never connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FINAL_RESPONSE = RESPONSE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
REQUEST = clients.get("/")


async def tallied(begin: Callable[[Clients], Tally], *responses: bytes) -> tuple[Tally, int]:
    """The tally and number of connections with a server that sends ``responses`` on each connection and closes it."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            for response in responses:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(response)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    group = Clients(server.sockets[0].getsockname()[1])
    tally = begin(group)
    while connections < 3:
        await asyncio.sleep(0.001)
    await group.stop(10)
    server.close()
    return tally, connections


@pytest.mark.parametrize(
    "begin",
    [
        lambda group: group.keep_alive(1, REQUEST),
        lambda group: group.reconnecting(1, REQUEST),
        lambda group: group.one_shot(100, REQUEST),
    ],
    ids=["keep-alive", "reconnecting", "one-shot"],
)
def test_complete_responses_lose_nothing(begin: Callable[[Clients], Tally]) -> None:
    tally, connections = clients.run(tallied(begin, FINAL_RESPONSE))
    assert (tally.answers, tally.lost, tally.refused) == ({200: connections}, 0, 0)
    assert len(tally.took_s[200]) == connections
    assert 0 < tally.median_ms() <= tally.quantile_ms(1)


@pytest.mark.parametrize("responses", [(RESPONSE, b""), (RESPONSE, RESPONSE[:-1])], ids=["none", "incomplete"])
def test_a_request_without_a_complete_response_is_lost(responses: tuple[bytes, ...]) -> None:
    tally, connections = clients.run(tallied(lambda group: group.keep_alive(1, REQUEST), *responses))
    assert tally.answers == {200: connections}
    assert connections - 1 <= tally.lost <= connections  # the last may stop before its second request


def test_a_refused_connection_loses_nothing() -> None:
    async def refused() -> Tally:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        group = Clients(server.sockets[0].getsockname()[1])
        server.close()
        await server.wait_closed()
        tally = group.keep_alive(2, REQUEST)
        while tally.refused < 4:
            await asyncio.sleep(0.001)
        await group.stop(10)
        return tally

    tally = clients.run(refused())
    assert (tally.lost, tally.answers) == (0, {})
