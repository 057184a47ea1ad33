"""The transport of an encrypted connection, which closes as fast as a plain one and loses as little."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

# As much as a plain connection may buffer. uvloop's own limits for TLS are several times higher.
_BUFFER_BYTES: Final = 64 * 1024


class TlsTransport:
    """Wraps asyncio's transport for TLS, and changes only how it closes. ``raw`` is the transport below it.

    asyncio waits for the client's close_notify, which clients with idle connections send when they use them next. It
    need not be waited for: https://www.rfc-editor.org/rfc/rfc8446#section-6.1.
    """

    def __init__(self, transport: asyncio.Transport, raw: asyncio.Transport) -> None:
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self._transport = transport
        self._raw = raw
        transport.set_write_buffer_limits(_BUFFER_BYTES)
        cast("Any", transport).set_read_buffer_limits(_BUFFER_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send what is buffered and close_notify, then close.

        What was not encrypted yet waits until the client has read enough, for as long as a shutdown may take.
        """
        all_encrypted = not self._transport.get_write_buffer_size()
        self._transport.close()
        if all_encrypted:
            self._raw.close()
