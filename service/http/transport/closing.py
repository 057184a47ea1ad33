"""A transport whose ``close`` lets the client read the last response.

If a socket is closed while the client still sends, the kernel resets the connection, and most clients then lose the
response. So the server ends its own side first, unless TLS does not allow that, and discards what still arrives for a
while. A client that is refused may have megabytes on their way: they are dropped in the kernel, a few times a second,
for reading them takes as long as reading a body that is answered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

# How long a client may go on sending after the last response.
LINGER_S: Final = 5.0
# How long nothing of that is discarded: many clients stop sending once they have the response.
_UNREAD_S: Final = 0.2
_DISCARD_EVERY_S: Final = 0.05
# With this, Linux drops what it would copy from TCP: https://man7.org/linux/man-pages/man7/tcp.7.html
_DROP: Final = socket.MSG_TRUNC | socket.MSG_DONTWAIT
# More than a socket receives before it is read. Not a byte of it is written on Linux, so it takes no memory.
_SINK: Final = bytearray(8 * 2**20)


class ClosingTransport:
    """Wraps uvicorn's ``transport`` and changes only how it closes.

    ``may_still_send`` tells whether the client may be sending; ``max_bytes`` limits what is discarded.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        may_still_send: Callable[[], bool],
        max_bytes: int,
    ) -> None:
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.close_requested = False
        self.can_half_close = transport.can_write_eof()
        self._transport = transport
        self._loop = loop
        self._may_still_send = may_still_send
        self._remaining_bytes = max_bytes
        self._linger_timer: asyncio.TimerHandle | None = None
        self._discard_timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def is_lingering(self) -> bool:
        """Whether the last response is sent and what arrives is discarded."""
        return self._linger_timer is not None

    def is_closing(self) -> bool:
        """Whether nothing more may be written."""
        return self._linger_timer is not None or self._transport.is_closing()

    def close(self) -> None:
        """Close at once, or after `LINGER_S` if the client may still be sending; a second call closes at once."""
        self.close_requested = True
        if self.is_closing() or not self._may_still_send():
            self.close_now()
            return
        if self.can_half_close:
            self._transport.write_eof()
        self.pause_reading()
        self._discard_timer = self._loop.call_later(_UNREAD_S, self._discard_arrived)
        self._linger_timer = self._loop.call_later(LINGER_S, self.close_now)

    def discard(self, size_bytes: int) -> None:
        """Count bytes that arrived after the last response; too many of them close the connection."""
        self._remaining_bytes -= size_bytes
        if self._remaining_bytes < 0:
            self.close_now()

    def close_now(self) -> None:
        """Close, even if the client is sending."""
        self.close_requested = True
        self.stop()
        self._transport.close()

    def stop(self) -> None:
        """Cancel the timer and drop the callback."""
        self._may_still_send = _never
        for timer in (self._linger_timer, self._discard_timer):
            if timer is not None:
                timer.cancel()

    def _discard_arrived(self) -> None:
        """Drop what has arrived, and come back, until the client has ended or reset the connection.

        With TLS it is read, as its end is in the encrypted bytes.
        """
        found = self._transport.get_extra_info("socket")
        if found is None or not self.can_half_close:
            self.resume_reading()
            return
        borrowed = socket.socket(found.family, found.type, found.proto, fileno=found.fileno())
        try:
            size_bytes = borrowed.recv_into(_SINK, 0, _DROP)
        except BlockingIOError:
            size_bytes = None
        except OSError:
            size_bytes = 0
        finally:
            borrowed.detach()
        if size_bytes == 0:
            self.close_now()
            return
        self._discard_timer = self._loop.call_later(_DISCARD_EVERY_S, self._discard_arrived)
        self.discard(size_bytes or 0)


def _never() -> bool:
    return False
