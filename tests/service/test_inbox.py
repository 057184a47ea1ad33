"""Connections passed to a worker: it can use them, in their order, and what finds no room is closed."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from service.inbox import Inbox, Passed


def pair() -> tuple[socket.socket, socket.socket]:
    """A client, and its connection as the server accepted it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), 30)
        return client, server.accept()[0]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with closing(Inbox()) as new:
        yield new


def test_connections_arrive_in_order_and_are_closed_where_they_came_from(inbox: Inbox) -> None:
    clients = []
    for is_admin in (False, True, False):
        client, accepted = pair()
        clients.append(client)
        assert inbox.put(Passed(accepted, is_admin))
        assert accepted.fileno() == -1
    assert select.select([inbox], [], [], 0)[0] == [inbox]
    taken = list(inbox.take())
    assert [each.is_admin for each in taken] == [False, True, False]
    for client, each in zip(clients, taken, strict=True):
        each.connection.sendall(b"hello")
        each.connection.close()
        assert client.recv(10) == b"hello"
        client.close()
    assert list(inbox.take()) == []
    assert select.select([inbox], [], [], 0)[0] == []


def test_a_connection_that_finds_no_room_is_closed(inbox: Inbox) -> None:
    waiting = 0
    while True:
        client, accepted = pair()
        with client:
            if not inbox.put(Passed(accepted, is_admin=False)):
                assert client.recv(1) == b""
                break
        waiting += 1
    taken = list(inbox.take())
    for each in taken:
        each.connection.close()
    assert len(taken) == waiting > 100
