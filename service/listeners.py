"""What a server listens on: the main address, with TLS or without, and the admin port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from service.inbox import Inbox
from service.listener import Listener
from service.sockets import Sockets, shown
from service.tls.handshake import Handshakes

_log = logging.getLogger(__name__)

NewProtocol = Callable[[], asyncio.Protocol]


class Listeners:
    """Accepts connections on ``sockets``, those of the main address by way of ``handshakes`` if there are any."""

    def __init__(self, sockets: Sockets, handshakes: Handshakes | None = None) -> None:
        self._sockets = sockets
        self._handshakes = handshakes
        self._watching: asyncio.Task[None] | None = None
        self._traffic: Listener | None = None
        self._admin: Listener | None = None

    def listen(self, backlog: int) -> None:
        """Let clients connect, and wait. Raises `StartError` if another process took an address meanwhile."""
        self._sockets.listen(backlog)

    def start(self, protocol: NewProtocol, admin_protocol: NewProtocol | None) -> None:
        """Accept connections in the running loop, each with a new protocol, and log where."""
        scheme = "http://"
        if self._handshakes is not None:
            protocol, scheme = self._handshakes.followed_by(protocol), "https://"
            self._watching = asyncio.create_task(self._handshakes.rotation.watch())
        if self._sockets.admin is not None and admin_protocol is not None:
            self._admin = Listener(self._sockets.admin, admin_protocol)
            _log.info("metrics and probes on http://%s", shown(self._sockets.admin))
        traffic = self._sockets.traffic
        is_unix = traffic.family is socket.AF_UNIX
        inbox = self._sockets.inbox
        self._traffic = Listener(traffic, protocol, inherited=is_unix and inbox is not None)
        if inbox is not None:
            asyncio.get_running_loop().add_reader(inbox.fileno(), self._take_passed, inbox)
        _log.info("ready on %s%s (documentation at /docs)", "" if is_unix else scheme, shown(traffic))

    @property
    def handshakes_open(self) -> int:
        """How many connections are in their handshake."""
        return 0 if self._handshakes is None else len(self._handshakes.open)

    @property
    def handshakes_completed(self) -> int:
        """How many handshakes succeeded so far."""
        return 0 if self._handshakes is None else self._handshakes.completed

    def refuse_new(self) -> None:
        """Let no new connection begin. Those that have begun are still accepted."""
        self._sockets.remove()
        for each in self._each():
            each.refuse_new()

    def accept(self) -> bool:
        """Accept pending connections. Returns whether none is left."""
        return all([each.accept() for each in self._each()])  # noqa: C419 - call each of them

    def close(self) -> None:
        """Accept what is pending and stop listening."""
        if self._sockets.inbox is not None:
            asyncio.get_running_loop().remove_reader(self._sockets.inbox.fileno())
            self._take_passed(self._sockets.inbox)
        for each in self._each():
            each.close()

    def end(self) -> None:
        """Break off the handshakes that have not ended, and look for no new certificate."""
        if self._handshakes is not None:
            self._handshakes.abort()
        if self._watching is not None:
            self._watching.cancel()

    def _each(self) -> list[Listener]:
        return [each for each in (self._admin, self._traffic) if each is not None]

    def _take_passed(self, inbox: Inbox) -> None:
        """Serve what a worker that died had not accepted."""
        for connection, is_admin in inbox.take():
            listener = self._admin if is_admin else self._traffic
            if listener is None:
                connection.close()
            else:
                listener.serve(connection)
