"""Polls the models folder: loads new versions in a thread beside the running ones, and swaps them in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from service import loading_thread
from service.background import quick_switches
from service.inference.catalog import Catalog
from service.inference.reports import Change
from service.inference.repository import Repository

_log = logging.getLogger(__name__)

# The lowest priority. At 10 or 17 this thread keeps a processor until the kernel's next tick, 4 ms at 250 Hz, after one
# that answers requests wakes up. It may hold the interpreter's lock then, which saturated workers did not suffer from:
# their p99 during loads was lower, too.
_NICENESS: Final = 19


class Watcher:
    """Looks at the folder of ``catalog`` every ``interval_s`` seconds while ``active``, and updates ``repository``.

    A folder is polled because network file systems and ConfigMap volumes do not report changes. ``looked`` is called
    after each look that read all of it.
    """

    def __init__(
        self,
        catalog: Catalog,
        repository: Repository,
        *,
        interval_s: float,
        active: Callable[[], bool],
        looked: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._catalog = catalog
        self._repository = repository
        self._interval_s = interval_s
        self._active = active
        self._looked = looked
        self._sleep = sleep
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._swaps: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look again and again; never if the interval is 0."""
        while self._interval_s:
            await self._sleep(self._interval_s)
            await self.look()

    async def look(self) -> None:
        """Look once, and wait until the versions that changed are swapped; not until the old ones are drained."""
        if not self._active() or not self._ended.is_set():
            return
        self._ended.clear()
        loop = asyncio.get_running_loop()

        def on_loop(call: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(call, *arguments)

        def work() -> None:
            try:
                with _in_background():
                    complete = self._catalog.look(
                        lambda change: on_loop(self._apply, change),
                        self._repository.default_name,
                        self._stopping.is_set,
                    )
                if complete:
                    on_loop(self._looked)
            except Exception:  # noqa: BLE001 - the next look may succeed
                _log.exception("a look at the models folder failed; the models keep serving")
            finally:
                on_loop(self._ended.set)

        loading_thread.start(work)
        await self._ended.wait()

    async def stop(self, within_s: float) -> bool:
        """Load no further version. Returns whether the thread ended within that time."""
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), within_s)
        return self._ended.is_set()

    def _apply(self, change: Change) -> None:
        if self._active() and not self._stopping.is_set():
            swap = asyncio.get_running_loop().create_task(self._repository.swap(change.name, change.after))
            self._swaps.add(swap)
            swap.add_done_callback(self._swaps.discard)


@contextmanager
def _in_background() -> Iterator[None]:
    """Let the threads that answer requests go first."""
    with contextlib.suppress(OSError, AttributeError):  # Linux has a priority for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    with quick_switches():
        yield
