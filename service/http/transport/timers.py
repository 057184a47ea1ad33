"""The timers of one connection: how long it waits for a request, and how long a request may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class KeepAliveTimer:
    """Calls ``on_expired`` once no request has been in progress for ``timeout_s``.

    One timer serves all requests, where uvicorn makes and cancels one for each. ``idle_since_s`` is None while a
    request is in progress; when the timer fires early, it runs again for the remaining time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, on_expired: Callable[[], None]) -> None:
        self.idle_since_s: float | None = None
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_expired = on_expired
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Count from now: no request is in progress."""
        self.idle_since_s = self._loop.time()
        if self._handle is None:
            self._handle = self._loop.call_later(self._timeout_s, self._check)

    def stop(self) -> None:
        """Cancel the timer and drop the callback."""
        self._on_expired = _nothing
        if self._handle is not None:
            self._handle.cancel()

    def _check(self) -> None:
        self._handle = None
        if self.idle_since_s is None:
            return
        remaining_s = self.idle_since_s + self._timeout_s - self._loop.time()
        if remaining_s <= 0:
            self._on_expired()
        else:
            self._handle = self._loop.call_later(remaining_s, self._check)


class ReceiveTimer:
    """Calls ``on_expired`` once a request has been arriving for ``timeout_s``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, on_expired: Callable[[], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_expired = on_expired
        self._handle: asyncio.TimerHandle | None = None
        self._is_new_request = True

    def expect_new_request(self) -> None:
        """Let the next `ensure_started` start anew."""
        self._is_new_request = True

    def ensure_started(self) -> None:
        """Start, unless that was done for this request."""
        if self._is_new_request:
            self._is_new_request = False
            self.restart()

    def restart(self) -> None:
        """Count from now."""
        self.cancel()
        self._handle = self._loop.call_later(self._timeout_s, self._expire)

    def restart_if_running(self) -> None:
        """Count from now if it counts at all."""
        if self._handle is not None:
            self.restart()

    def cancel(self) -> None:
        """Stop counting."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def stop(self) -> None:
        """Cancel the timer and drop the callback."""
        self.cancel()
        self._on_expired = _nothing

    def _expire(self) -> None:
        self._handle = None
        self._on_expired()


def _nothing() -> None:
    pass
