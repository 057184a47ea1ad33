"""Answers scrapes in a thread, one after the other; those that wait for the same share it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from service.background import quick_switches
from service.errors import DeadlineExceeded
from service.metrics.text_formats import Format

# Less than the scrape timeout of deploy/, so that the error is seen where it was.
TIMEOUT_S: Final = 4.0
# zlib's default; gzip.compress would take 9, which is slower and saves little.
GZIP_LEVEL: Final = 6


class Wanted(NamedTuple):
    """How a client wants the metrics."""

    form: Format
    gzipped: bool


class Scrapes:
    """Scrapes of this process.

    ``prepare`` is called on the event loop, and its result in a thread: it gives the metrics as text. What was counted
    before a scrape is asked for is in it, so one that is running already is not shared.
    """

    def __init__(self, prepare: Callable[[], Callable[[Format], bytes]], *, timeout_s: float = TIMEOUT_S) -> None:
        self._prepare = prepare
        self._timeout_s = timeout_s
        self._waiting: dict[Wanted, asyncio.Future[bytes]] = {}
        self._running = asyncio.Lock()

    async def __call__(self, wanted: Wanted) -> bytes:
        """The metrics. Raises `DeadlineExceeded` if that takes too long."""
        if wanted not in self._waiting:
            self._waiting[wanted] = asyncio.ensure_future(self._scrape(wanted))
        try:
            return await asyncio.wait_for(asyncio.shield(self._waiting[wanted]), self._timeout_s)
        except TimeoutError:
            detail = f"the metrics took more than {self._timeout_s:g} s to collect; look for a slow disk below TMPDIR"
            raise DeadlineExceeded(detail) from None

    async def _scrape(self, wanted: Wanted) -> bytes:
        async with self._running:
            del self._waiting[wanted]
            work = partial(_work, self._prepare(), wanted)
            with quick_switches():  # before the thread starts: the event loop waits for that, too
                return await _in_thread(work)


def _work(render: Callable[[Format], bytes], wanted: Wanted) -> bytes:
    text = render(wanted.form)
    return gzip.compress(text, GZIP_LEVEL, mtime=0) if wanted.gzipped else text


async def _in_thread(call: Callable[[], bytes]) -> bytes:
    """The result of ``call``. The process may end before it does: a pool would wait for it."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[bytes] = loop.create_future()

    def end(how: Callable[[], None]) -> None:
        if not result.done():  # the loop is closing, and has cancelled it
            how()

    def work() -> None:
        try:
            how = partial(result.set_result, call())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            how = partial(result.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end, how)

    threading.Thread(target=work, name="scrape", daemon=True).start()
    return await result
