"""The handshake of a connection, after which its own protocol takes over.

asyncio can accept a connection with TLS by itself, but then nothing knows the transport below, which `TlsTransport`
needs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, cast

from service.tls.rotation import Rotation
from service.tls.transport import TlsTransport

_log = logging.getLogger(__name__)

# Reasons by OpenSSL's names for them; alerts come from the client.
_REASONS: Final = {
    "HTTP_REQUEST": "plain-http",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-client-certificate",
    "CERTIFICATE_VERIFY_FAILED": "client-certificate",
    "UNSUPPORTED_PROTOCOL": "version",
    "NO_SHARED_CIPHER": "version",
    "TLSV1_ALERT_UNKNOWN_CA": "not-trusted",
    "SSLV3_ALERT_BAD_CERTIFICATE": "not-trusted",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "not-trusted",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "not-trusted",
}


class Handshakes:
    """The handshakes of a server, with what ``rotation`` has.

    A handshake may take ``handshake_s``. A client may take ``flush_s`` to read the last response. ``open`` are the
    handshakes that have begun and not ended, and ``completed`` counts those that succeeded.
    """

    def __init__(self, rotation: Rotation, *, handshake_s: float, flush_s: float) -> None:
        self.open: set[Handshake] = set()
        self.completed = 0
        self.rotation = rotation
        self.handshake_s = handshake_s
        self.flush_s = flush_s

    def followed_by(self, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], Handshake]:
        """What makes the first protocol of each connection; ``protocol()`` makes the one that follows."""
        return partial(Handshake, self, protocol)

    def abort(self) -> None:
        """End the connections whose handshake has not ended."""
        for each in list(self.open):
            each.abort()


class Handshake(asyncio.Protocol):
    """One connection until its handshake has ended."""

    def __init__(self, shared: Handshakes, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._shared = shared
        self._new_protocol = protocol
        self._raw: asyncio.Transport | None = None
        self._next: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start now: a task would start one turn of the event loop later."""
        self._raw = transport
        self._shared.open.add(self)
        opening: Coroutine[Any, Any, asyncio.Transport | None] = asyncio.get_running_loop().start_tls(
            transport,
            self,
            self._shared.rotation.context(),
            server_side=True,
            ssl_handshake_timeout=self._shared.handshake_s,
            ssl_shutdown_timeout=self._shared.flush_s,
        )
        waiter: asyncio.Future[None] = opening.send(None)
        waiter.add_done_callback(partial(self._end, opening))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, if it was meant for the protocol that follows."""
        if self._next is not None:
            self._next.connection_lost(exc)

    def abort(self) -> None:
        """Close the connection without another word."""
        if self._raw is not None:
            self._raw.abort()

    def _end(self, opening: Coroutine[Any, Any, asyncio.Transport | None], _waiter: asyncio.Future[None]) -> None:
        self._shared.open.discard(self)
        try:
            opening.send(None)
        except StopIteration as ended:
            self._hand_over(ended.value)
        except OSError as error:  # ssl.SSLError is one
            self._failed(_reason(error), error)

    def _hand_over(self, transport: asyncio.Transport | None) -> None:
        """uvloop delivers what the client has sent since in the next turn."""
        assert self._raw is not None  # noqa: S101 - the handshake had it
        if transport is None or transport.is_closing():  # the client left, before the first byte
            self._failed("disconnected", None)
            return
        self._shared.completed += 1
        self._next = self._new_protocol()
        transport.set_protocol(self._next)
        self._next.connection_made(cast("asyncio.Transport", TlsTransport(transport, self._raw)))

    def _failed(self, reason: str, error: OSError | None) -> None:
        self._shared.rotation.counts.handshake_failed(reason)
        _log.debug("a TLS handshake failed (%s): %s", reason, error)


def _reason(error: OSError) -> str:
    """Why a handshake failed, in a few fixed words."""
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason, "protocol")
    return "timeout" if isinstance(error, ConnectionAbortedError) else "disconnected"
