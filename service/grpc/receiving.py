"""Receives the message of an RPC: in time, within the memory for bodies, decompressed within its limit.

gRPC reads a message as a whole, and does not tell its length before. A message that takes longer than a moment is
counted as the largest one until it is there. gRPC's own decompression has no limit, so it is turned off.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from service.errors import MalformedBody, RequestError
from service.http.codecs import compression
from service.http.limits import BodyBudget, Limits
from service.inference.steps import Steps, T

# How long a message may take before its bytes are counted. Nearly all come with the RPC's headers.
_GRACE_S: Final = 0.25
# The messages of an RPC also end if its client is gone: within this time gRPC cancels it then.
_CANCELLED_S: Final = 0.05
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


class Receiver:
    """Receives messages within ``limits``; those that arrive slowly or expand are counted in ``budget``."""

    def __init__(self, limits: Limits, budget: BodyBudget) -> None:
        self._limits = limits
        self._budget = budget

    async def receive(self, read: Callable[[], Awaitable[Any]]) -> bytes:
        """The one message that ``read`` returns, decompressed. Raises `RequestError`."""
        message = await self.next(read)
        if message is None:
            await asyncio.sleep(_CANCELLED_S)
            raise MalformedBody("there is no message; send one")
        return message

    async def next(self, read: Callable[[], Awaitable[Any]]) -> bytes | None:
        """The next message of several, None after the last one. Raises `RequestError`."""
        watch = _Watch(self._limits, self._budget)
        try:
            message = await read()
        except asyncio.CancelledError:
            if watch.error is None:
                raise
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in one
            task.uncancel()
            raise watch.error from None
        finally:
            watch.close()
        if not isinstance(message, bytes):
            return None
        wbits = _wbits_of(message)
        return message if wbits is None else await self._inflated(message, wbits)

    async def _inflated(self, message: bytes, wbits: int) -> bytes:
        max_bytes = self._limits.max_body_bytes
        self._budget.acquire(max_bytes)
        try:
            return await in_turns(compression.inflated(message, max_bytes, wbits))
        finally:
            self._budget.release(max_bytes)


class _Watch:
    """Cancels the running task, with its ``error``, if a message is too slow or there is no memory for it."""

    def __init__(self, limits: Limits, budget: BodyBudget) -> None:
        self.error: RequestError | None = None
        self._limits = limits
        self._budget = budget
        self._counted = False
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(min(_GRACE_S, limits.receive_timeout_s), self._count)

    def close(self) -> None:
        self._timer.cancel()
        if self._counted:
            self._counted = False
            self._budget.release(self._limits.max_body_bytes)

    def _count(self) -> None:
        try:
            self._budget.acquire(self._limits.max_body_bytes)
        except RequestError as error:
            self._fail(error)
            return
        self._counted = True
        self._timer = self._loop.call_later(max(0.0, self._limits.receive_timeout_s - _GRACE_S), self._expire)

    def _expire(self) -> None:
        self._fail(self._limits.body_too_late())

    def _fail(self, error: RequestError) -> None:
        self.error = error
        assert self._task is not None  # noqa: S101 - a coroutine runs in one
        self._task.cancel()


async def in_turns(steps: Steps[T]) -> T:
    """The result of ``steps``, one for each turn of the event loop."""
    try:
        while True:
            next(steps)
            await asyncio.sleep(0)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def _wbits_of(message: bytes) -> int | None:
    """zlib's parameter if ``message`` is compressed, which shows in its first bytes; None if it is not.

    No protocol buffer begins like gzip, as there is no wire type 7. To zlib's header belongs a field 15, an integer,
    that no message here has.
    """
    if message[:2] == _GZIP_MAGIC:
        return _GZIP_WBITS
    if message[:1] == b"\x78" and len(message) > 1 and int.from_bytes(message[:2], "big") % 31 == 0:
        return zlib.MAX_WBITS
    return None
