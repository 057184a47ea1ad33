"""How long a thread of low priority rests, so that it takes only what the rest of the process leaves of a processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# The part of one processor that a worker uses at most, and what the thread may use even if the rest needs it all.
_USABLE: Final = 0.9
_LEAST: Final = 0.01
_LONGEST_REST_S: Final = 2.0
_MEASURE_S: Final = 0.5


class SpareTime:
    """Measures the processor time of this process and of the calling thread.

    ``clock`` gives seconds; ``process_s`` and ``thread_s`` the processor time used so far.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        process_s: Callable[[], float] = time.process_time,
        thread_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._process_s = process_s
        self._thread_s = thread_s
        self._began = (clock(), process_s(), thread_s())
        self._worked_s = self._began[2]
        self._share = _USABLE

    def rest_s(self) -> float:
        """How long to rest after what the thread did since the last call."""
        now_s, process_s, thread_s = self._clock(), self._process_s(), self._thread_s()
        began_s, process_began_s, thread_began_s = self._began
        if now_s - began_s >= _MEASURE_S:
            others_s = (process_s - process_began_s) - (thread_s - thread_began_s)
            self._share = max(_USABLE - others_s / (now_s - began_s), _LEAST)
            self._began = (now_s, process_s, thread_s)
        worked_s = thread_s - self._worked_s
        self._worked_s = thread_s
        return min(worked_s * (1 / self._share - 1), _LONGEST_REST_S)
