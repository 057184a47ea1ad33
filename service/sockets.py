"""The sockets that the server listens on: bound at the start, so that a taken address ends it at once."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Final

from service import unix_socket
from service.errors import StartError
from service.inbox import Inbox, Passed
from service.settings import Settings
from service.unix_socket import UnixSocket

_log = logging.getLogger(__name__)

_ADDRESS: Final = "--host and --port"
_GRPC: Final = "--host and --grpc-port"
_ADMIN: Final = "--admin-host and --admin-port"


@dataclass(frozen=True, slots=True)
class Sockets:
    """Those of one process. ``unix`` is the file of a Unix socket, which the process that made it removes.

    If other workers listen on the same addresses, connections that those could not accept come by the ``inbox``.
    """

    traffic: socket.socket
    admin: socket.socket | None = None
    unix: UnixSocket | None = None
    inbox: Inbox | None = None

    def each(self) -> list[socket.socket]:
        """All of them."""
        return [self.traffic] if self.admin is None else [self.traffic, self.admin]

    def listen(self, backlog: int) -> None:
        """Let clients connect. Raises `StartError` if another process took an address meanwhile."""
        if self.unix is not None:
            self.unix.check()
        for bound in self.each():
            try:
                bound.listen(backlog)
            except OSError as error:
                host, port = bound.getsockname()[:2]
                raise _cannot_listen(host, port, error, _ADMIN if bound is self.admin else _ADDRESS) from error

    def remove(self) -> None:
        """Let no client find a Unix socket any more. Does nothing otherwise, or if it was done."""
        if self.unix is not None:
            self.unix.remove()


def bind(settings: Settings) -> Sockets:
    """Bind what ``settings`` name. Raises `StartError` if an address is not available."""
    unread_timeout_s = settings.keep_alive_timeout_s
    if settings.grpc_port:  # gRPC binds it later, and cannot tell why it could not
        listen(settings.host, settings.grpc_port, unread_timeout_s=unread_timeout_s, options=_GRPC).close()
    admin = None
    if settings.admin_port:
        host = settings.admin_host or settings.host
        admin = listen(host, settings.admin_port, unread_timeout_s=unread_timeout_s, options=_ADMIN)
    if settings.uds is not None:
        unix = unix_socket.bind(settings.uds, int(settings.uds_mode, 8))
        return Sockets(unix.socket, admin, unix)
    return Sockets(listen(settings.host, settings.port, unread_timeout_s=unread_timeout_s), admin)


class WorkerSockets:
    """The sockets of several workers, in their supervisor, on the addresses of ``bound``.

    Each worker has its own for each TCP address, and the kernel distributes connections over them. All inherit the same
    Unix socket. Raises `StartError` if another process takes an address meanwhile.
    """

    def __init__(self, bound: Sockets, workers: int, unread_timeout_s: int) -> None:
        self._bound = bound
        self._unread_timeout_s = unread_timeout_s
        self._addresses = {each: each.getsockname()[:2] for each in bound.each() if each.family is not socket.AF_UNIX}
        for each in self._addresses:
            each.close()  # an unshared socket would keep the workers from binding the address
        self._inboxes = [Inbox() for _ in range(workers)]
        self._sockets = [self._bind(inbox) for inbox in self._inboxes]

    def of(self, index: int) -> Sockets:
        """The sockets of a worker. Call it in that worker: those of the others are closed."""
        own = self._sockets.pop(index)
        self._inboxes.pop(index)
        self.close()
        return own

    def replace(self, index: int, heirs: Sequence[int]) -> None:
        """Make new sockets for the replacement of a dead worker. What it had not accepted is passed to ``heirs``.

        If there are none, the replacement gets it.
        """
        old, inboxes = self._sockets[index], cycle([self._inboxes[each] for each in heirs or [index]])
        try:
            self._sockets[index] = self._bind(self._inboxes[index])
        except StartError as error:
            _log.error("worker %d starts again with the sockets of the one that died: %s", index, error)
        passed = [next(inboxes).put(each) for each in self._not_accepted(old)]
        if self._sockets[index] is not old:
            for each in self._own(old):
                stop_listening(each)
        if passed:
            _log.info("passed on %d of %d connections that worker %d had not accepted", sum(passed), len(passed), index)

    def close(self) -> None:
        """Close them in this process."""
        for each in chain.from_iterable(self._own(sockets) for sockets in self._sockets):
            each.close()
        for inbox in self._inboxes:
            inbox.close()

    def _own(self, sockets: Sockets) -> list[socket.socket]:
        """Those that other workers do not listen on."""
        return [each for each in sockets.each() if each is not self._bound.traffic]

    def _not_accepted(self, sockets: Sockets) -> Iterator[Passed]:
        for each in self._own(sockets):
            each.setblocking(False)
            with suppress(OSError):  # there is none left, or the worker never listened
                for _ in range(socket.SOMAXCONN):
                    yield Passed(each.accept()[0], is_admin=each is sockets.admin)

    def _bind(self, inbox: Inbox) -> Sockets:
        admin = self._bound.admin
        return Sockets(self._shared(self._bound.traffic), None if admin is None else self._shared(admin), inbox=inbox)

    def _shared(self, bound: socket.socket) -> socket.socket:
        if bound not in self._addresses:
            return bound
        host, port = self._addresses[bound]
        options = _ADMIN if bound is self._bound.admin else _ADDRESS
        return listen(host, port, unread_timeout_s=self._unread_timeout_s, shared=True, options=options)


def stop_listening(bound: socket.socket) -> None:
    """Close a listening socket, and its copies in other processes with it. Connections not accepted are reset."""
    if bound.family is not socket.AF_UNIX:  # other workers listen on it
        with suppress(OSError):  # it does not listen; outside of Linux this cannot be done
            bound.shutdown(socket.SHUT_RDWR)
    bound.close()


def listen(
    host: str, port: int, *, unread_timeout_s: int, shared: bool = False, options: str = _ADDRESS
) -> socket.socket:
    """Return a socket that is bound to the address and not listening yet.

    ``shared`` lets several processes bind the address, and the kernel distributes new connections over them:
    SO_REUSEPORT in https://man7.org/linux/man-pages/man7/socket.7.html. If the kernel can, it also ends connections
    whose client has not acknowledged data for ``unread_timeout_s``: TCP_USER_TIMEOUT, inherited by accepted sockets, in
    https://man7.org/linux/man-pages/man7/tcp.7.html. Raises `StartError`, with the ``options`` that choose the address,
    if it is not available.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_timeout_s * 1000)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _cannot_listen(host, port, error, options) from error
    return bound


def _cannot_listen(host: str, port: int, error: OSError, options: str) -> StartError:
    return StartError(f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with {options}")


def shown(bound: socket.socket) -> str:
    """The address of a socket, as in a URL or ``unix:path``."""
    name = bound.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
