"""The clients of the benchmarks count what became of each request: answered, lost, or never connected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LAST = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
REQUEST = clients.get("/")


async def asked(begin: Callable[[Clients], Tally], *answers: bytes) -> tuple[Tally, int]:
    """What clients make of a server that gives these answers to the requests of a connection, and then ends it."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
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
def test_whole_answers_lose_nothing(begin: Callable[[Clients], Tally]) -> None:
    tally, connections = clients.run(asked(begin, LAST))
    assert (tally.answers, tally.lost, tally.refused) == ({200: connections}, 0, 0)
    assert len(tally.took_s) == connections
    assert 0 < tally.median_ms() <= tally.quantile_ms(1)


@pytest.mark.parametrize("answers", [(ANSWER, b""), (ANSWER, ANSWER[:-1])], ids=["no answer", "half an answer"])
def test_a_request_without_a_whole_answer_is_lost(answers: tuple[bytes, ...]) -> None:
    tally, connections = clients.run(asked(lambda group: group.keep_alive(1, REQUEST), *answers))
    assert tally.answers == {200: connections}
    assert connections - 1 <= tally.lost <= connections  # on the last one it may have stopped before the second request


def test_a_connection_that_cannot_be_had_loses_nothing() -> None:
    async def story() -> Tally:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        group = Clients(server.sockets[0].getsockname()[1])
        server.close()
        await server.wait_closed()
        tally = group.keep_alive(2, REQUEST)
        while tally.refused < 4:
            await asyncio.sleep(0.001)
        await group.stop(10)
        return tally

    tally = clients.run(story())
    assert (tally.lost, tally.answers) == (0, {})
