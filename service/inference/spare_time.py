"""How long a thread of low priority rests, so that it takes only what the rest of the process leaves of a processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

# The part of one processor that a worker uses at most, and what the thread may use even if the rest needs it all.
_USABLE: Final = 0.9
_LEAST: Final = 0.01
_LONGEST_REST_S: Final = 2.0
_MEASURE_S: Final = 0.5


def waited_s() -> float:
    """How long the main thread has been ready to run and waited for a processor or its quota; 0 if unknown.

    https://docs.kernel.org/scheduler/sched-stats.html
    """
    try:
        return int(Path(f"/proc/self/task/{os.getpid()}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _needed_s() -> float:
    return time.process_time() + waited_s()


class SpareTime:
    """Measures what this process needs, and what of that the calling thread takes.

    ``clock`` gives seconds; ``needed_s`` the processor time that the process used or waited for so far, and
    ``thread_s`` the processor time of the calling thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        needed_s: Callable[[], float] = _needed_s,
        thread_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._needed_s = needed_s
        self._thread_s = thread_s
        self._began = (clock(), needed_s(), thread_s())
        self._worked_s = self._began[2]
        self._share = _USABLE

    def rest_s(self) -> float:
        """How long to rest after what the thread did since the last call."""
        now_s, thread_s = self._clock(), self._thread_s()
        began_s, needed_began_s, thread_began_s = self._began
        if now_s - began_s >= _MEASURE_S:
            needed_s = self._needed_s()
            others_s = (needed_s - needed_began_s) - (thread_s - thread_began_s)
            self._share = max(_USABLE - others_s / (now_s - began_s), _LEAST)
            self._began = (now_s, needed_s, thread_s)
        worked_s = thread_s - self._worked_s
        self._worked_s = thread_s
        return min(worked_s * (1 / self._share - 1), _LONGEST_REST_S)
