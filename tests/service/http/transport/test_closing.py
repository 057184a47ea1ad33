"""The end of a connection whose client still sends: it reads the last response, and what it sends is not read."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest

from service.http.transport.closing import ClosingTransport
from tests.service.running import PATIENCE_S

ANSWER = b"refused"
# More than the buffers of both sockets hold.
SENT_BYTES = 32 * 2**20


class _Refusing(asyncio.Protocol):
    """Answers at once and closes; ``lost`` once the connection is closed."""

    def __init__(self, max_bytes: int) -> None:
        self.read_bytes = 0
        self.lost = asyncio.Event()
        self._max_bytes = max_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Here Python 3.11.2's loop would not let it stop reading.
        asyncio.get_running_loop().call_soon(self._refuse, transport)

    def _refuse(self, transport: asyncio.BaseTransport) -> None:
        both_ways = cast("asyncio.Transport", transport)
        closing = ClosingTransport(both_ways, asyncio.get_running_loop(), lambda: True, self._max_bytes)
        closing.write(ANSWER)
        closing.close()

    def data_received(self, data: bytes) -> None:
        self.read_bytes += len(data)

    def eof_received(self) -> bool:
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()


async def _refused(max_bytes: int, sent_bytes: int) -> tuple[_Refusing, bytes]:
    """The server's side of a connection that it refuses, and what a client reads that first sends all it has."""
    protocol = _Refusing(max_bytes)
    server = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)

    def client() -> bytes:
        with socket.create_connection(server.sockets[0].getsockname(), PATIENCE_S) as connection:
            connection.sendall(bytes(sent_bytes))
            read = b""
            while piece := connection.recv(4096):
                read += piece
            return read

    try:
        read = await asyncio.to_thread(client)
        await asyncio.wait_for(protocol.lost.wait(), PATIENCE_S)
    finally:
        server.close()
    return protocol, read


@pytest.mark.anyio
async def test_a_client_that_sends_on_reads_the_answer_and_its_bytes_are_dropped_unread() -> None:
    protocol, read = await _refused(2 * SENT_BYTES, SENT_BYTES)
    assert read == ANSWER
    assert protocol.read_bytes == 0


@pytest.mark.anyio
async def test_a_client_that_sends_too_much_is_closed() -> None:
    with pytest.raises(OSError, match=r"reset|pipe"):
        await _refused(2**20, SENT_BYTES)
