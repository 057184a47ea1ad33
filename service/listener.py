"""A listening socket of our own: it takes all connections that wait in each turn, and drops none when it closes.

libuv's own listener takes one connection a turn, so that new ones starve where a turn is long. And what the kernel has
connected and nobody has accepted is reset when a listening socket is closed.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

_log = logging.getLogger(__name__)

# What one turn may take: the busy connections have their turn as well.
_AT_ONCE: Final = 256
_PAUSE_S: Final = 0.1
# Faults of one connection, which accept(2) tells instead of giving it: https://man7.org/linux/man-pages/man2/accept.2.html
_OF_ONE_CONNECTION: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EINTR", "EPERM", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"),
        *("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT", "ECONNRESET"),
    )
    if hasattr(errno, name)
)
# Linux's name for it is not in the socket module: https://man7.org/linux/man-pages/man7/socket.7.html
_SO_ATTACH_FILTER: Final = 26
# A classic BPF program over a segment's TCP header: nothing is left of one that asks for a new connection (SYN without
# ACK, in byte 13), and all of any other. https://www.kernel.org/doc/html/latest/networking/filter.html
_NO_NEW: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of it
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop
    (0x06, 0, 0, 0xFFFFFFFF),  # else pass
)


class Listener:
    """Accepts on ``bound``, which listens, and gives each connection a protocol of its own, in the running loop."""

    def __init__(self, bound: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._socket = bound
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._exhausted = False
        bound.setblocking(False)
        self._loop.add_reader(bound, self.accept)

    def accept(self) -> bool:
        """Take the connections that wait, a bounded number of them; whether none is left.

        Where the process or the machine has no more descriptors or memory, the rest waits a moment in the kernel.
        """
        for _ in range(_AT_ONCE):
            try:
                taken, _address = self._socket.accept()
            except BlockingIOError:
                self._exhausted = False
                return True
            except OSError as error:
                if error.errno in _OF_ONE_CONNECTION:
                    continue
                self._wait(error)
                return False
            self._serve(taken)
        return False

    def refuse_new(self) -> None:
        """Let no further connection begin; those that have are still accepted.

        Linux passes over a request to connect then, and the client asks again, a second later at the earliest. Where
        the kernel has no such filter, connections begin until `close`.
        """
        program = b"".join(struct.pack("HBBI", *step) for step in _NO_NEW)
        steps = ctypes.create_string_buffer(program)
        try:
            self._socket.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_NO_NEW), ctypes.addressof(steps))
            )
        except OSError as error:
            _log.debug("connections that begin while the listening socket is closed may be reset: %s", error)

    def close(self) -> None:
        """Take what waits, and listen no more."""
        while not self.accept() and self._pause is None:
            pass
        if self._pause is None:
            self._loop.remove_reader(self._socket)
        else:
            self._pause.cancel()
        self._socket.close()

    def _serve(self, taken: socket.socket) -> None:
        """Begin at once, and not a turn later as a task would: a turn is long where many are busy."""
        opening: Coroutine[Any, Any, object] = self._loop.connect_accepted_socket(self._protocol, taken)
        try:
            opened: asyncio.Future[None] = opening.send(None)
        except OSError as error:  # it is gone already
            _log.debug("a connection could not be opened: %s", error)
            taken.close()
            return
        opened.add_done_callback(partial(_finish, opening))

    def _wait(self, error: OSError) -> None:
        if self._pause is not None:
            return
        if not self._exhausted:
            _log.error("no new connections can be accepted for the moment: %s; raise the limit, or add replicas", error)
            self._exhausted = True
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self.accept)


def _finish(opening: Coroutine[Any, Any, object], _opened: asyncio.Future[None]) -> None:
    try:
        opening.send(None)
    except StopIteration:
        pass
    except OSError as error:
        _log.debug("a connection was gone before it was open: %s", error)
