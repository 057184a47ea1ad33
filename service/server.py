"""uvicorn's server, taught to lose nothing at SIGTERM: it answers what reaches it before it closes a connection."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from service.app import Service
from service.errors import StartError
from service.http import connection, express
from service.lifecycle import Lifecycle, State
from service.settings import Settings

_log = logging.getLogger(__name__)

# How long a connection must be silent before it is closed: a request already on its way to us arrives within this.
LINGER_S: Final = 1.0
_TICK_S: Final = 0.02


class Stop:
    """SIGTERM and SIGINT until uvicorn takes them over, and after: it raises those it took once more when it is done.

    As process 1 of a container a signal without a handler is ignored. The exit is also noted: an exception that comes
    out of nowhere can be lost in code that is called from C and has nobody to hand it to.
    """

    def __init__(self) -> None:
        self.told = False

    def listen(self) -> None:
        """Take the signals, in the main thread of this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._leave)

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self.told = True
        raise SystemExit(0)


class Server(uvicorn.Server):
    """Says when it is ready; drains before uvicorn's own shutdown, which would close a connection under a request."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, ready: Callable[[], None], stop: Stop) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._ready = ready
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then say where. Raises `StartError` where another began to meanwhile."""
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            try:
                listener.listen(self.config.backlog)  # uvloop does it again, and passes over its failure
            except OSError as error:
                raise _cannot_listen(host, port, error) from error
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            _log.info("ready on http://%s:%d (documentation at /docs)", f"[{host}]" if ":" in host else host, port)
        self._ready()
        self.should_exit |= self._stop.told

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening; answer each connection's next request with ``connection: close``; then close what is idle."""
        _log.info("draining: no new connections, each open one is answered and closed")
        self._lifecycle.advance(State.DRAINING)
        # What the kernel has connected and we have not accepted would be reset: the loop looks after it first.
        await asyncio.sleep(_TICK_S)
        for server in self.servers:
            server.close()
        ends_at = asyncio.get_running_loop().time() + LINGER_S
        while self.server_state.connections and asyncio.get_running_loop().time() < ends_at and not self.force_exit:
            await asyncio.sleep(_TICK_S)
        await super().shutdown(sockets)
        _log.info("stopped")


def run(service: Service, settings: Settings, listener: socket.socket, ready: Callable[[], None], stop: Stop) -> None:
    """Serve on ``listener`` until SIGTERM or SIGINT; ``ready`` is called once requests are taken."""
    door = service.door
    plain = connection.protocol_of(door.journal, door.ids, door.bounds, door.bodies)
    config = uvicorn.Config(
        service.app,
        http=express.protocol_of(door) if settings.express else plain,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )
    Server(config, service.lifecycle, ready, stop).run([listener])


def listen(host: str, port: int, *, unread_timeout_s: int, shared: bool = False) -> socket.socket:
    """A socket bound to the address, not yet accepting; ``shared`` lets several processes bind it.

    The kernel then spreads new connections over them: https://man7.org/linux/man-pages/man7/socket.7.html
    (SO_REUSEPORT). Where it can, it also ends a connection whose client has not taken what it was sent for
    ``unread_timeout_s``: https://man7.org/linux/man-pages/man7/tcp.7.html (TCP_USER_TIMEOUT; accepted sockets inherit
    it). Raises `StartError` where the address cannot be had.
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
        raise _cannot_listen(host, port, error) from error
    return bound


def _cannot_listen(host: str, port: int, error: OSError) -> StartError:
    reason = error.strerror or error
    return StartError(f"cannot listen on {host} port {port}: {reason}; choose another with --host and --port")
