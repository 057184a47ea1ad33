"""Closing an encrypted connection: at once if all is encrypted, else after what the client has yet to read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.tls.transport import TlsTransport


class Fake(asyncio.Transport):
    """A transport that buffers ``size`` bytes, and notes what is called."""

    def __init__(self, name: str, calls: list[str], size: int = 0) -> None:
        super().__init__()
        self._name = name
        self._calls = calls
        self._size = size

    def get_write_buffer_size(self) -> int:
        return self._size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def set_read_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - as in the base class
        return f"{name} of {self._name}"

    def close(self) -> None:
        self._calls.append(f"{self._name} closes")


@pytest.mark.parametrize(
    ("buffered_bytes", "calls"), [(0, ["TLS closes", "TCP closes"]), (1, ["TLS closes"])], ids=["all sent", "some left"]
)
def test_the_connection_is_closed_once_all_is_encrypted(buffered_bytes: int, calls: list[str]) -> None:
    called: list[str] = []
    transport = TlsTransport(Fake("TLS", called, buffered_bytes), Fake("TCP", called))
    transport.close()
    assert called == calls
    assert transport.get_extra_info("sslcontext") == "sslcontext of TLS"
