"""Passes accepted connections from the supervisor to a worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

_TRAFFIC: Final = b"t"
_ADMIN: Final = b"a"


class Passed(NamedTuple):
    """A connection, and whether a client of the admin port opened it."""

    connection: socket.socket
    is_admin: bool


class Inbox:
    """The connections passed to one worker. Make it before the worker is forked; its replacement has the same."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that is readable while there are connections to take."""
        return self._receiver.fileno()

    def put(self, passed: Passed) -> bool:
        """Pass a connection on, and close it in this process.

        False if too many wait for the worker already: then the client is cut off.
        """
        with passed.connection:
            try:
                # SCM_RIGHTS in https://man7.org/linux/man-pages/man7/unix.7.html
                socket.send_fds(self._sender, [_ADMIN if passed.is_admin else _TRAFFIC], [passed.connection.fileno()])
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Close it in this process."""
        self._receiver.close()
        self._sender.close()

    def take(self) -> Iterator[Passed]:
        """The connections that are there."""
        while True:
            try:
                kind, descriptors, _flags, _address = socket.recv_fds(self._receiver, 1, 1)
            except BlockingIOError:
                return
            for descriptor in descriptors:  # none if this process can open no more
                yield Passed(socket.socket(fileno=descriptor), kind == _ADMIN)
