"""A listening socket that accepts all pending connections in each turn of the event loop, and drops none on close.

libuv's listener accepts one connection per turn, so new ones starve when turns are long. And when a listening socket is
closed, the kernel resets the connections that nobody has accepted.
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

from service.sockets import stop_listening

_log = logging.getLogger(__name__)

# The most connections accepted in one turn, so that open ones are served, too.
_MAX_ACCEPTS: Final = 256
_PAUSE_S: Final = 0.1
# Errors of a single connection, which accept(2) reports in its place: https://man7.org/linux/man-pages/man2/accept.2.html
_CONNECTION_ERRORS: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EINTR", "EPERM", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"),
        *("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ETIMEDOUT", "ECONNRESET"),
    )
    if hasattr(errno, name)
)
# Not in the socket module: https://man7.org/linux/man-pages/man7/socket.7.html
_SO_ATTACH_FILTER: Final = 26
# A classic BPF program on a segment's TCP header. It drops connection requests (SYN without ACK in byte 13) and passes
# everything else. https://www.kernel.org/doc/html/latest/networking/filter.html
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x54, 0, 0, 0x12),  # keep its SYN and ACK bits
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop
    (0x06, 0, 0, 0xFFFFFFFF),  # else pass
)


class Listener:
    """Accepts connections on ``bound``, which is listening, in the running loop. Each gets a new ``protocol()``.

    If other processes accept on the same ``inherited`` socket, one connection is accepted in a turn: they share them.
    """

    def __init__(
        self, bound: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], *, inherited: bool = False
    ) -> None:
        self._socket = bound
        self._most_accepts = 1 if inherited else _MAX_ACCEPTS
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._exhausted = False
        bound.setblocking(False)
        self._loop.add_reader(bound, self.accept)

    def accept(self) -> bool:
        """Accept pending connections, up to a limit. Returns whether none is left.

        If descriptors or memory run out, the others wait in the kernel for a moment.
        """
        for _ in range(self._most_accepts):
            try:
                accepted, _address = self._socket.accept()
            except BlockingIOError:
                self._exhausted = False
                return True
            except OSError as error:
                if error.errno in _CONNECTION_ERRORS:
                    continue
                self._wait(error)
                return False
            self.serve(accepted)
        return False

    def refuse_new(self) -> None:
        """Let no new connection begin. Those that have begun are still accepted.

        Linux then ignores connection requests, and clients retry after a second at the earliest. On a kernel without
        such filters, connections begin until `close`.
        """
        if self._socket.family is socket.AF_UNIX:  # clients do not find it any more
            return
        program = b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN)
        steps = ctypes.create_string_buffer(program)
        try:
            self._socket.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_DROP_SYN), ctypes.addressof(steps))
            )
        except OSError as error:
            _log.debug("connections that begin while the listening socket is closed may be reset: %s", error)

    def close(self) -> None:
        """Accept what is pending and stop listening."""
        while not self.accept() and self._pause is None:
            pass
        if self._pause is None:
            self._loop.remove_reader(self._socket)
        else:
            self._pause.cancel()
        stop_listening(self._socket)

    def serve(self, accepted: socket.socket) -> None:
        """Start an accepted connection now. A task would start it one turn later, and turns are long under load."""
        opening: Coroutine[Any, Any, object] = self._loop.connect_accepted_socket(self._protocol, accepted)
        try:
            opened: asyncio.Future[None] = opening.send(None)
        except OSError as error:  # the client is gone
            _log.debug("a connection could not be opened: %s", error)
            accepted.close()
            return
        opened.add_done_callback(partial(_finish, opening))

    def _wait(self, error: OSError) -> None:
        if self._pause is not None:
            return
        if not self._exhausted:
            _log.error("cannot accept new connections for the moment: %s; raise the limit, or add replicas", error)
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
        _log.debug("a connection was closed before it was open: %s", error)
