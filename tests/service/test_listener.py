"""The listening socket: it accepts all pending connections in one turn, and close loses none."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from typing import Any

import pytest

from service.listener import Listener

pytestmark = pytest.mark.anyio

MANY = 200


class Greeter(asyncio.Protocol):
    """Sends a word and closes."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


class Bound:
    """A listening socket with a `Listener`. A client is connected as soon as the kernel accepts it."""

    def __init__(self) -> None:
        self.socket: Any = socket.create_server(("127.0.0.1", 0), backlog=2 * MANY)
        self.address = self.socket.getsockname()
        self.made = 0

    def listen(self) -> Listener:
        return Listener(self.socket, self.protocol)

    def protocol(self) -> Greeter:
        self.made += 1
        return Greeter()

    def clients(self, count: int) -> list[socket.socket]:
        return [socket.create_connection(self.address, 30) for _ in range(count)]


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def bound() -> Bound:
    return Bound()


async def greeted(clients: list[socket.socket]) -> bool:
    """Whether each of them receives the word and then the end."""

    def receive(client: socket.socket) -> bytes:
        with client:
            return b"".join(iter(lambda: client.recv(100), b""))

    return await asyncio.to_thread(lambda: all(receive(client) == b"hello" for client in clients))


async def test_all_pending_connections_are_accepted_in_one_turn(bound: Bound) -> None:
    clients = bound.clients(MANY)
    listener = bound.listen()
    while bound.made == 0:
        await asyncio.sleep(0)
    assert bound.made == MANY
    assert await greeted(clients)
    assert await greeted(bound.clients(1)), "it stops listening"
    listener.close()


async def test_connections_accepted_by_the_kernel_are_served_on_close(bound: Bound) -> None:
    listener = bound.listen()
    clients = bound.clients(MANY)
    listener.refuse_new()
    listener.close()
    assert bound.made == MANY
    with pytest.raises(ConnectionRefusedError):
        bound.clients(1)
    assert await greeted(clients)


async def test_new_connections_are_refused_and_earlier_ones_continue(bound: Bound) -> None:
    listener = bound.listen()
    before = bound.clients(1)
    listener.refuse_new()
    with socket.socket() as late:
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect(bound.address)
    assert await greeted(before)
    listener.close()


class Failing:
    """A listening socket whose ``accept`` fails a few times first."""

    def __init__(self, listening: socket.socket, *errors: int) -> None:
        self._socket = listening
        self.errors = list(errors)

    def accept(self) -> tuple[socket.socket, Any]:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return self._socket.accept()

    def setsockopt(self, *_: object) -> None:
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


async def test_a_failing_connection_does_not_affect_others(bound: Bound) -> None:
    bound.socket = Failing(bound.socket, errno.ECONNABORTED, errno.EPROTO)
    listener = bound.listen()
    assert await greeted(bound.clients(3))
    listener.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_connections_wait_without_descriptors_or_memory_and_one_line_is_logged(
    bound: Bound, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    with caplog.at_level(logging.ERROR, "service.listener"):
        bound.socket = failing = Failing(bound.socket, number, number, number)
        listener = bound.listen()
        clients = bound.clients(3)
        while len(failing.errors) == 3:
            await asyncio.sleep(0)
        for _ in range(100):  # the socket is readable all the time, without a callback
            await asyncio.sleep(0)
        assert len(failing.errors) == 2
        assert await greeted(clients)
        listener.close()
    (record,) = caplog.records
    assert record.getMessage() == (
        "cannot accept new connections for the moment: "
        f"[Errno {number}] {os.strerror(number)}; raise the limit, or add replicas"
    )


async def test_a_kernel_without_filters_loses_no_pending_connection(bound: Bound) -> None:
    bound.socket = Failing(bound.socket)
    listener = bound.listen()
    clients = bound.clients(MANY)
    listener.refuse_new()
    clients += bound.clients(1)
    listener.close()
    assert await greeted(clients)


async def test_a_client_that_is_gone_before_accept_is_not_an_error(bound: Bound) -> None:
    for client in bound.clients(20):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing resets
        client.close()
    listener = bound.listen()
    assert await greeted(bound.clients(1))
    listener.close()


async def test_a_copy_of_the_socket_in_another_process_does_not_listen_after_close(bound: Bound) -> None:
    listener = bound.listen()
    copy = bound.socket.dup()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        bound.clients(1)
    copy.close()
