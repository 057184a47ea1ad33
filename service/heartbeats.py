"""The states and heartbeats of the supervisor and its workers, in memory that they share."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from typing import Final

from service.lifecycle import State

INTERVAL_S: Final = 0.5
# After this, a worker that takes connections is assumed to hang, and the server is not ready.
SUSPECT_S: Final = 3.0
# After this, a worker hangs, and is killed. No request may keep the event loop that long.
HUNG_S: Final = 6.0
# A worker without an event loop yet may check large models on a slow disk, and one without it any more ends threads.
_START_S: Final = 300.0
_EXIT_S: Final = 15.0

SUPERVISOR: Final = -1
_STATES: Final[tuple[State | None, ...]] = (None, *State)
_ITEM_BYTES: Final = 8


class Heartbeats:
    """One slot for each worker, by its index, and one for the `SUPERVISOR`. Make it before the processes are forked.

    A process that hangs sends no beats. So does every process of a machine that was suspended, or of a container that
    was frozen. So a process that finds its own beat late counts the age of all others from then on.

    Parameters
    ----------
    workers
        How many workers there are.
    clock
        Seconds, the same in all processes.
    interval_s, hung_s
        Seconds between beats, and the age at which a worker hangs.
    """

    def __init__(
        self,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        interval_s: float = INTERVAL_S,
        hung_s: float = HUNG_S,
    ) -> None:
        self.workers = range(workers)
        self.interval_s = interval_s
        self._limits_s = {
            State.STARTING: _START_S,
            State.READY: hung_s,
            State.DRAINING: hung_s,
            State.STOPPED: _EXIT_S,
        }
        self._clock = clock
        slots = workers + 1
        values = memoryview(mmap.mmap(-1, 2 * slots * _ITEM_BYTES)).cast("d")
        self._beats_s, self._states = values[:slots], values[slots:]
        # Of this process alone:
        self._awake_since_s = self._last_seen_s = clock()

    def enter(self, index: int, state: State | None) -> None:
        """Note the state of a process, None while there is no process. That is a heartbeat, too."""
        self.beat(index)  # first: a new state with an old beat would be one that hangs
        self._states[index] = _STATES.index(state)

    def beat(self, index: int) -> None:
        """Note that a process responds. Call it each `interval_s`."""
        self._beats_s[index] = self._now_s()

    def state(self, index: int) -> State | None:
        """The state of a process, None while there is no process."""
        return _STATES[int(self._states[index])]

    def age_s(self, index: int) -> float:
        """The seconds since the last heartbeat, without those in which this process did not run."""
        now_s = self._now_s()  # before the beat is read, or the age might be negative
        return max(now_s - max(self._beats_s[index], self._awake_since_s), 0.0)

    def overdue_s(self, index: int) -> float:
        """The seconds by which a heartbeat is later than its state allows. A process hangs if they are positive."""
        state = self.state(index)
        return 0.0 if state is None else self.age_s(index) - self._limits_s[state]

    def responds(self, index: int) -> bool:
        """Whether a process is ready, and not late with its heartbeat."""
        return self.state(index) is State.READY and self.age_s(index) <= SUSPECT_S

    def _now_s(self) -> float:
        now_s = self._clock()
        if now_s - self._last_seen_s > 3 * self.interval_s:
            self._awake_since_s = now_s
        self._last_seen_s = now_s
        return now_s
