"""The sockets that the server listens on: bound at the start, so that a taken address ends it at once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service import unix_socket
from service.errors import StartError
from service.settings import Settings
from service.unix_socket import UnixSocket

_ADDRESS: Final = "--host and --port"
_GRPC: Final = "--host and --grpc-port"
_ADMIN: Final = "--admin-host and --admin-port"


@dataclass(frozen=True, slots=True)
class Sockets:
    """Those of one process. ``unix`` is the file of a Unix socket, which the process that made it removes.

    Other workers accept connections on the addresses of ``shared`` sockets, too.
    """

    traffic: socket.socket
    admin: socket.socket | None = None
    unix: UnixSocket | None = None
    shared: bool = False

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


def for_workers(bound: Sockets, unread_timeout_s: int) -> Callable[[], Sockets]:
    """What each of several workers calls in the place of ``bound``, which showed that the addresses are free.

    Each binds the TCP addresses anew, and the kernel distributes connections over them. A Unix socket is inherited.
    """
    addresses = {each: each.getsockname()[:2] for each in bound.each() if each.family is not socket.AF_UNIX}
    for each in addresses:
        each.close()  # an unshared socket would keep the workers from binding the address

    def shared(given: socket.socket) -> socket.socket:
        if given not in addresses:
            return given
        host, port = addresses[given]
        options = _ADMIN if given is bound.admin else _ADDRESS
        return listen(host, port, unread_timeout_s=unread_timeout_s, shared=True, options=options)

    return lambda: Sockets(shared(bound.traffic), None if bound.admin is None else shared(bound.admin), shared=True)


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
