"""uvicorn's server, taught to lose nothing at SIGTERM: it answers what reaches it before it closes a connection."""

from __future__ import annotations

import asyncio
import logging
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS

from service.app import Service
from service.errors import NotReady, StartError
from service.http.transport import fast_path
from service.http.transport.connection import BoundedProtocol
from service.lifecycle import State, stop_signals
from service.listener import Listener
from service.settings import Settings

_log = logging.getLogger(__name__)

# How long a connection must be silent before it is closed: a request already on its way to us arrives within this.
LINGER_S: Final = 1.0
# How long a connection that had begun when the listening socket began to close may take to be there.
_HANDSHAKE_S: Final = 0.2
# How long the last answers, that there will be none, may take to leave.
_FAREWELL_S: Final = 1.0
_TICK_S: Final = 0.02
_RETRY_S: Final = 1.0


class Stop:
    """The signals to stop until uvicorn takes them over, and after: it raises those it took once more when it is done.

    As process 1 of a container a signal without a handler is ignored. The exit is also noted: an exception that comes
    out of nowhere can be lost in code that is called from C and has nobody to hand it to.
    """

    def __init__(self) -> None:
        self.told = False

    def listen(self) -> None:
        """Take the signals, in the main thread of this process."""
        for number in stop_signals():
            signal.signal(number, self._leave)

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self.told = True
        raise SystemExit(0)


class Server(uvicorn.Server):
    """Accepts connections itself, says when it is ready, and drains.

    uvicorn's own shutdown closes a connection under a request, and resets those that wait to be accepted.
    """

    def __init__(
        self, config: uvicorn.Config, service: Service, drain_timeout_s: float, ready: Callable[[], None], stop: Stop
    ) -> None:
        super().__init__(config)
        self._drain_timeout_s = drain_timeout_s
        self._lifecycle = service.lifecycle
        self._give_up = service.fast_path.predict.close
        self._ready = ready
        self._stop = stop
        self._listeners: list[Listener] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then say where. Raises `StartError` where another began to meanwhile."""
        sockets = sockets or []
        for bound in sockets:
            try:
                bound.listen(self.config.backlog)
            except OSError as error:
                host, port = bound.getsockname()[:2]
                raise _cannot_listen(host, port, error) from error
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        self._listeners = [Listener(bound, self._new_protocol) for bound in sockets]
        self.started = True
        for bound in sockets:
            host, port = bound.getsockname()[:2]
            _log.info("ready on http://%s:%d (documentation at /docs)", f"[{host}]" if ":" in host else host, port)
        self._ready()
        self.should_exit |= self._stop.told

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the listeners have them
        """Stop listening; answer each connection's next request with ``connection: close``; then close what is idle.

        What is not answered, or not even whole, when the drain has to end is told to come again.
        """
        _log.info("draining: no new connections, each open one is answered and closed")
        self._lifecycle.advance(State.DRAINING)
        await self._stop_listening()
        await self._while_open(LINGER_S - _HANDSHAKE_S)
        ends_at_s = time.monotonic() + self._drain_timeout_s
        await self._close_idle(ends_at_s)
        await self._while_open(ends_at_s - time.monotonic())
        if self._open() and not self.force_exit:
            _log.warning("%d connections are told that the drain is over", len(self._open()))
            self._tell_the_rest()
            await self._while_open(_FAREWELL_S)
        for task in self.server_state.tasks:
            task.cancel("the drain is over")
        if not self.force_exit:
            await self.lifespan.shutdown()
        _log.info("stopped")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that uvicorn takes, and those it does not know."""
        with super().capture_signals():
            more = [number for number in stop_signals() if number not in HANDLED_SIGNALS]
            before = {number: signal.signal(number, self.handle_exit) for number in more}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _new_protocol(self) -> BoundedProtocol:
        protocol: BoundedProtocol = self.config.http_protocol_class(  # type: ignore[assignment, call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _open(self) -> set[BoundedProtocol]:
        connections: set[Any] = self.server_state.connections
        return connections

    async def _stop_listening(self) -> None:
        """Accept all that the kernel has begun, for as long as there are no descriptors left for it, too."""
        for listener in self._listeners:
            listener.refuse_new()
        now_s = time.monotonic()
        begun_by_s, ends_at_s = now_s + _HANDSHAKE_S, now_s + self._drain_timeout_s
        while not self.force_exit:
            empty = all([listener.accept() for listener in self._listeners])  # noqa: C419 - each of them
            if time.monotonic() > (begun_by_s if empty else ends_at_s):
                break
            await asyncio.sleep(_TICK_S)
        for listener in self._listeners:
            listener.close()

    async def _while_open(self, within_s: float) -> None:
        """Wait until all connections are gone and their requests with them, so long at most."""
        ends_at_s = time.monotonic() + within_s
        while (self._open() or self.server_state.tasks) and not self.force_exit and time.monotonic() < ends_at_s:
            await asyncio.sleep(_TICK_S)

    async def _close_idle(self, ends_at_s: float) -> None:
        """Close the connections that wait for a request; those to which one has just come answer it first."""
        while idle := [each for each in self._open() if each.is_idle and not each.transport.is_closing()]:
            asked = _readable(idle)
            for each in idle:
                if each.fileno not in asked:
                    each.transport.close()
            if self.force_exit or time.monotonic() > ends_at_s:
                break
            await asyncio.sleep(_TICK_S)

    def _tell_the_rest(self) -> None:
        self._give_up()
        for each in list(self._open()):
            each.give_up(NotReady("the server stopped before this request was whole; try again", _RETRY_S))


def _readable(connections: Iterable[BoundedProtocol]) -> set[int]:
    """The file descriptors of those that have something to be read, or were closed by the client."""
    waiting = select.poll()
    for each in connections:
        waiting.register(each.fileno, select.POLLIN)
    return {descriptor for descriptor, _event in waiting.poll(0)}


def run(service: Service, settings: Settings, listener: socket.socket, ready: Callable[[], None], stop: Stop) -> None:
    """Serve on ``listener`` until a signal to stop; ``ready`` is called once requests are taken."""
    context = service.fast_path
    new_protocol: Any = partial(BoundedProtocol, context=context)
    if settings.express:
        new_protocol = fast_path.protocol_factory(context)
    config = uvicorn.Config(
        service.app,
        http=new_protocol,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
    )
    Server(config, service, settings.drain_timeout_s, ready, stop).run([listener])


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
