"""uvicorn's server with a graceful shutdown: every request that arrives before its connection closes is answered."""

from __future__ import annotations

import asyncio
import logging
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
import uvicorn.lifespan.on
import uvicorn.loops.uvloop  # both before the workers are forked
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS

from service.app import Service
from service.errors import NotReady
from service.http.transport import fast_path
from service.http.transport.connection import BoundedProtocol
from service.lifecycle import State, stop_signals
from service.listeners import Listeners
from service.settings import Settings
from service.sockets import Sockets
from service.tls.handshake import Handshakes
from service.tls.rotation import Rotation

_log = logging.getLogger(__name__)

# How long a connection must be silent before it is closed. A request that is on its way arrives within this time.
LINGER_S: Final = 1.0
# How long a connection that began before the listening socket closed may take to be accepted.
_HANDSHAKE_S: Final = 0.2
# How long the last error responses may take to be sent.
_FAREWELL_S: Final = 1.0
_TICK_S: Final = 0.02
_RETRY_S: Final = 1.0


class Stop:
    """Handles stop signals before uvicorn does, and after, when uvicorn raises those it handled once more.

    Process 1 of a container ignores signals without a handler. ``requested`` is kept because a SystemExit raised inside
    a destructor or a C callback is lost, and Python would only print it.
    """

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Install the signal handlers. Must be called in the main thread."""
        sys.unraisablehook = self._unraisable
        for number in stop_signals():
            signal.signal(number, self._leave)

    def ignore(self) -> None:
        """Ignore further stop signals, as the process is ending. An exception would interrupt its last steps."""
        for number in stop_signals():
            signal.signal(number, signal.SIG_IGN)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        if not (self.requested and lost.exc_type is SystemExit):
            sys.__unraisablehook__(lost)

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        raise SystemExit(0)


class Server(uvicorn.Server):
    """Accepts connections itself, and drains on shutdown.

    uvicorn's own shutdown closes connections during a request and resets those that are not accepted yet.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        listeners: Listeners,
        drain_timeout_s: float,
        stop: Stop,
        admin: uvicorn.Config | None = None,
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._admin = admin
        self._drain_timeout_s = drain_timeout_s
        self._lifecycle = service.lifecycle
        self._reject_all = service.fast_path.predict.close
        self._grpc = service.grpc
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the listeners have them
        """Start accepting connections and log the address. Raises `StartError` if another process took it meanwhile."""
        self._listeners.listen(self.config.backlog)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        if self._grpc is not None:
            await self._grpc.start()
        admin_protocol = None
        if self._admin is not None:
            self._admin.load()
            admin_protocol = partial(self._new_protocol, self._admin)
        self._listeners.start(partial(self._new_protocol, self.config), admin_protocol)
        self.started = True
        self.should_exit |= self._stop.requested

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the listeners have them
        """Stop listening, answer each connection's next request with ``connection: close``, and close idle connections.

        Requests that are unanswered or incomplete when the drain times out are rejected, to be retried.
        """
        _log.info("draining: no new connections, open ones are answered and closed")
        self._lifecycle.advance(State.DRAINING)
        grpc = None if self._grpc is None else asyncio.create_task(self._grpc.drain(self._drain_timeout_s))
        completed = self._listeners.handshakes_completed
        await self._stop_listening()
        await self._while_open(LINGER_S - _HANDSHAKE_S)
        ends_at_s = time.monotonic() + self._drain_timeout_s
        await self._finish_handshakes(completed, ends_at_s)
        await self._close_idle(ends_at_s)
        await self._while_open(ends_at_s - time.monotonic())
        if self._open() and not self.force_exit:
            _log.warning("the drain timed out: rejecting the requests of %d connections", len(self._open()))
            self._reject_the_rest()
            await self._while_open(_FAREWELL_S)
        for task in self.server_state.tasks:
            task.cancel("the drain timed out")
        if grpc is not None:
            await self._while_draining(grpc, ends_at_s)
        if not self.force_exit:
            await self.lifespan.shutdown()
        _log.info("stopped")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that uvicorn handles, and SIGHUP."""
        with super().capture_signals():
            additional = [number for number in stop_signals() if number not in HANDLED_SIGNALS]
            before = {number: signal.signal(number, self.handle_exit) for number in additional}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _new_protocol(self, config: uvicorn.Config) -> BoundedProtocol:
        protocol: BoundedProtocol = config.http_protocol_class(  # type: ignore[assignment, call-arg]
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _open(self) -> set[BoundedProtocol]:
        connections: set[Any] = self.server_state.connections
        return connections

    async def _stop_listening(self) -> None:
        """Accept all connections that have begun, and wait for descriptors if there are none left."""
        self._listeners.refuse_new()
        now_s = time.monotonic()
        begun_by_s, ends_at_s = now_s + _HANDSHAKE_S, now_s + self._drain_timeout_s
        while not self.force_exit:
            if time.monotonic() > (begun_by_s if self._listeners.accept() else ends_at_s):
                break
            await asyncio.sleep(_TICK_S)
        self._listeners.close()

    async def _while_open(self, within_s: float) -> None:
        """Wait until all connections and requests are finished, at most ``within_s``."""
        ends_at_s = time.monotonic() + within_s
        while self._is_busy() and not self.force_exit and time.monotonic() < ends_at_s:
            await asyncio.sleep(_TICK_S)

    def _is_busy(self) -> bool:
        return bool(self._open() or self.server_state.tasks or self._listeners.handshakes_open)

    async def _finish_handshakes(self, completed: int, ends_at_s: float) -> None:
        """Wait for the first requests after handshakes, as long as any of these succeeds; then break off the others."""
        while completed != self._listeners.handshakes_completed and time.monotonic() < ends_at_s:
            completed = self._listeners.handshakes_completed
            await self._while_open(LINGER_S)
        self._listeners.end()

    async def _close_idle(self, ends_at_s: float) -> None:
        """Close idle connections. Those with a request that has just arrived answer it first."""
        while idle := [each for each in self._open() if each.is_idle and not each.transport.is_closing()]:
            readable = _readable(idle)
            for each in idle:
                if each.fileno not in readable:
                    each.transport.close()
            if self.force_exit or time.monotonic() > ends_at_s:
                break
            await asyncio.sleep(_TICK_S)

    async def _while_draining(self, grpc: asyncio.Task[None], ends_at_s: float) -> None:
        """Wait for gRPC's drain; reject the requests that wait when the time is over."""
        while not grpc.done() and not self.force_exit and time.monotonic() < ends_at_s:
            await asyncio.sleep(_TICK_S)
        if not grpc.done() and not self.force_exit:
            self._reject_all()
            await grpc

    def _reject_the_rest(self) -> None:
        self._reject_all()
        for each in list(self._open()):
            each.give_up(NotReady("the server stopped before this request was complete; try again", _RETRY_S))


def _readable(connections: Iterable[BoundedProtocol]) -> set[int]:
    """The descriptors of connections with data to read, or closed by the client."""
    waiting = select.poll()
    for each in connections:
        waiting.register(each.fileno, select.POLLIN)
    return {descriptor for descriptor, _event in waiting.poll(0)}


def run(service: Service, settings: Settings, sockets: Sockets, stop: Stop, tls: Rotation | None = None) -> None:
    """Serve on ``sockets`` until a stop signal, with TLS if ``tls`` has a certificate."""
    context = service.fast_path
    new_protocol: Any = partial(BoundedProtocol, context=context)
    if settings.fast_path:
        new_protocol = fast_path.protocol_factory(context)
    config = _config(service.app, new_protocol, settings)
    admin = service.admin and _config(
        service.admin.app, partial(BoundedProtocol, context=service.admin.context), settings
    )
    handshakes = None
    if tls is not None:
        handshakes = Handshakes(tls, handshake_s=settings.receive_timeout_s, flush_s=settings.keep_alive_timeout_s)
    server = Server(config, service, Listeners(sockets, handshakes), settings.drain_timeout_s, stop, admin)
    server.run(sockets.each())


def _config(app: FastAPI, new_protocol: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=new_protocol,
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
    )
