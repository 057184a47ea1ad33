"""A transport whose ``close`` lets the client read its last answer.

Closing a socket while the client still sends makes the kernel answer with a reset, and most clients then never see what
they were told before it. So the server's side is ended first, and what still comes is thrown away for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

# A client that goes on sending after the last answer has this long to notice.
LINGER_S: Final = 5.0


class ClosingTransport:
    """Stands before uvicorn's ``transport``; all but closing is passed on.

    ``unread`` says whether the client may still be sending. ``max_bytes`` bounds what is thrown away.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        unread: Callable[[], bool],
        max_bytes: int,
    ) -> None:
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self._transport = transport
        self._loop = loop
        self._unread = unread
        self._left_bytes = max_bytes
        self.closed = False  # whether it was asked for
        self._lingers: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def lingers(self) -> bool:
        """Whether the last answer is out, and what comes is thrown away."""
        return self._lingers is not None

    def is_closing(self) -> bool:
        """Whether no more may be written."""
        return self._lingers is not None or self._transport.is_closing()

    def close(self) -> None:
        """Close; the first time not before the client had time to read, where it may still be sending."""
        self.closed = True
        if self.is_closing() or not self._unread():
            self.close_now()
            return
        self._transport.write_eof()
        self.resume_reading()
        self._lingers = self._loop.call_later(LINGER_S, self.close_now)

    def throw_away(self, size_bytes: int) -> None:
        """Count bytes that came after the last answer; too many close the connection."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            self.close_now()

    def close_now(self) -> None:
        """Close, whatever the client is doing."""
        self.closed = True
        self.stop()
        self._transport.close()

    def stop(self) -> None:
        """Wait for nothing any more, and hold on to nobody."""
        self._unread = _no
        if self._lingers is not None:
            self._lingers.cancel()


def _no() -> bool:
    return False
