"""The credentials in use. Files that were replaced are read again; open connections keep what they began with."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from service.errors import StartError
from service.tls.files import Credentials, Signature, TlsFiles

_log = logging.getLogger(__name__)

# A certificate that is not replaced in time ends all traffic.
_LONGEST_INTERVAL_S: Final = 5.0
_DAY_S: Final = 86_400.0
# How long before its end a certificate is warned about, once for each of these.
_WARNED_DAYS: Final = (14, 7, 3, 1, 0)


class Counts(Protocol):
    """What is counted, as `service.metrics.tls` does."""

    def expires(self, file: str, at_s: float) -> None:
        """Set when the certificate expires, in seconds since 1970."""

    def handshake_failed(self, reason: str) -> None:
        """Count a handshake that failed."""


class Rotation:
    """Keeps the newest good credentials of ``files``, which are ``first`` at first.

    The files are looked at every ``interval_s`` and at least every `_LONGEST_INTERVAL_S`. ``wall_s`` gives seconds
    since 1970.
    """

    def __init__(
        self,
        files: TlsFiles,
        first: Credentials,
        counts: Counts,
        interval_s: float = 0,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.counts = counts
        self._interval_s = min(interval_s or _LONGEST_INTERVAL_S, _LONGEST_INTERVAL_S)
        self._files = files
        self._wall_s = wall_s
        self._signature = first.signature
        self._warned_days: int | None = None
        self.current = first
        self._log_use("TLS with the certificate")
        self.look()  # a worker that replaces a dead one starts long after they were read

    def context(self) -> ssl.SSLContext:
        """What the next handshake uses."""
        return self.current.context

    def look(self) -> None:
        """Read the files again if one was replaced. A fault is logged once, and the credentials stay as they are."""
        signature = self._files.signature()
        if signature != self._signature:
            self._reload(signature)
        self._note_expiry()

    async def watch(self) -> None:
        """Look for new files again and again, in a thread: the disk may be slow."""
        while True:
            await asyncio.sleep(self._interval_s)
            await asyncio.to_thread(self.look)

    def _reload(self, signature: Signature) -> None:
        try:
            self.current = self._files.load()
        except StartError as error:
            if self._files.signature() != signature:
                return  # one of them was replaced meanwhile: look again
            _log.error("the new TLS files are not used, the old ones stay in use: %s", error)
        else:
            self._warned_days = None
            self._log_use("new connections use the new certificate")
        self._signature = signature

    def _log_use(self, use: str) -> None:
        until = datetime.fromtimestamp(self.current.expires_at_s, UTC)
        clients = "; clients must have one, too" if self.current.client_ca else ""
        _log.info("%s %s, valid until %s%s", use, self._files.certificate, f"{until:%Y-%m-%d}", clients)

    def _note_expiry(self) -> None:
        """Set the metric, and warn once for each of `_WARNED_DAYS`."""
        credentials: Credentials = self.current
        self.counts.expires(str(self._files.certificate), credentials.expires_at_s)
        left_days = (credentials.expires_at_s - self._wall_s()) / _DAY_S
        reached = min((days for days in _WARNED_DAYS if left_days <= days), default=None)
        if reached is None or reached == self._warned_days:
            return
        self._warned_days = reached
        if left_days <= 0:
            _log.error("the certificate %s has expired: clients refuse it; replace it", self._files.certificate)
        else:
            _log.warning("the certificate %s expires in %.1f days; replace it", self._files.certificate, left_days)
