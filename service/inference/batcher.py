"""Gathers the rows of concurrent requests, runs them as one batch, and gives each caller its own answer.

Two lanes share one network. Rows that arrive in one turn of the event loop run as one call at its end, on the loop
itself: no batch waits for a timer, and for a small network that is cheaper than waking a thread. Requests too large for
that go to `LargeLane`, which runs them in a thread.

Each lane has its own bounds, so large requests never cause a small one to be rejected. A request that fits one call is
not rejected for a full queue while it can run: if the second lane has no room it goes to the first, and if that is
full, a batch of it runs at once. No request is accepted that would wait too long. Requests wait longer than the network
takes, for others are read, decoded and answered in between: each lane measures its `Pace`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from service.errors import DeadlineExceeded, ModelFailed, Overloaded, QueueTooLong
from service.inference.costs import Costs, Pace
from service.inference.jobs import Done, Job, Rows, Run, Runner, overflowed_rows, share, stopped
from service.inference.large_lane import LargeLane
from service.inference.session import Outputs

__all__ = ["Batcher", "Costs", "Job", "Rows", "Run", "Waiting"]

# Arrays kept for the next turns. A burst may use more, which are freed after it.
_SPARE_BATCHES: Final = 4
# How long a call may block the loop, unless a call of few rows takes nearly as long.
_CALL_S: Final = 0.0025
# Decay per turn of the loop of the longest time that one has read.
_READING_DECAY: Final = 0.9


class Waiting(NamedTuple):
    """What waits in a lane: rows, and the seconds that a new request would wait for them."""

    rows: int
    seconds: float


class _Batch:
    """Rows of several jobs in one array. A job's own array is free as soon as it is copied here.

    A small array of this kind stays in the processor's cache while a turn's requests are decoded.
    """

    def __init__(self, rows: int, features: int, dtype: DTypeLike) -> None:
        self.rows = np.empty((rows, features), dtype)
        self.jobs: list[Job] = []
        self.filled = 0

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Drop the jobs that are not ``wanted``, and their rows."""
        kept, first, filled = [], 0, 0
        for job in self.jobs:
            if wanted(job):
                if first != filled:
                    self.rows[filled : filled + job.count] = self.rows[first : first + job.count]
                filled += job.count
                kept.append(job)
            first += job.count
        self.jobs, self.filled = kept, filled


class Batcher:
    """Both lanes in front of one network.

    ``run`` takes ``dtype`` (rows, features). ``queue_rows`` bounds the rows of each lane that were accepted and have
    not run, ``max_queue_s`` the seconds that a request may wait for others. ``clock`` gives seconds; deadlines are on
    the same clock.

    ``ran`` is called after each run with its rows, which are valid during the call alone, and its outputs. Both are
    without rows that overflowed: such a row fails its own request alone.

    ``arriving_rows`` counts the rows of large requests whose bodies are still arriving; their reader updates it.
    ``is_late`` is whether the last small request was rejected for its wait, and nothing has run since.
    ``executions`` has the runs of the network by their rows: how many, and the seconds they took together.
    """

    def __init__(
        self,
        run: Run,
        costs: Costs,
        *,
        features: int,
        queue_rows: int,
        clock: Callable[[], float],
        ran: Callable[[Rows, Outputs], None],
        max_queue_s: float = math.inf,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.costs = costs
        self.max_queue_s = max_queue_s
        self.arriving_rows = 0
        self.is_late = False
        self._row_s = costs.row_s + costs.run_s / costs.batch_rows
        self._run = Runner(run, ran, dtype)
        self.executions = self._run.executions
        self._queue_rows = queue_rows
        self._clock = clock
        self._new_batch = partial(_Batch, costs.batch_rows, features, dtype)
        self._small: deque[_Batch] = deque()
        self._small_rows = 0
        self._is_scheduled = self._running = self._closed = False
        self._spare: list[_Batch] = []
        self._pace = Pace()
        call_s = max(_CALL_S, 2 * costs.run_s)
        self._call_rows = min(max(int((call_s - costs.run_s) / max(costs.row_s, 1e-12)), 1), costs.batch_rows)
        # When the loop began to read what runs at the end of this turn, how long the last turn took, and the longest
        # time that one read.
        self._turn_began_s = self._last_turn_s = self._reading_s = 0.0
        self._large = LargeLane(self._run, costs, clock=clock, max_wait_s=max_queue_s)
        self._expected = 0
        self._small_idle: asyncio.Event | None = None  # set, once there is one, when the large lane alone may be busy

    def submit(self, rows: Rows, deadline_s: float, done: Done, waited_s: float = 0.0) -> Job:
        """Accept ``rows`` (rows, features); ``done`` is called later in this turn of the running loop, or after it.

        ``waited_s`` is how long the request has waited elsewhere. Raises `Overloaded` if the queue has no room,
        `QueueTooLong` if the rows would wait too long, `DeadlineExceeded` if the rows ahead of these already take
        longer than there is time, and `NotReady` after `close`.
        """
        if self._closed:
            raise stopped()
        count, now, costs = len(rows), self._clock(), self.costs
        is_large = count > costs.inline_rows
        if is_large:
            is_large = self._goes_to_large_lane(count, waited_s)
        if not is_large and self._small_rows + count > self._queue_rows:
            self._make_room(count)
        # A large request waits for all others, a small one for small ones alone.
        ahead_rows = self._small_rows + self._large.rows if is_large else self._small_rows
        if now + costs.run_s + self._row_s * (ahead_rows + count) > deadline_s:
            raise self._too_late(ahead_rows + count, deadline_s, now)
        job = Job(count, deadline_s, done, now)
        if is_large:
            self._large.add(job, rows)
        else:
            small = self._small
            batch = small[-1] if small and small[-1].filled + count <= self._call_rows else self._open_batch(waited_s)
            self._small_rows += count
            end = batch.filled + count
            batch.rows[batch.filled : end] = rows
            batch.filled = end
            batch.jobs.append(job)
        return job

    def is_sliced(self, rows: int) -> bool:
        """Whether ``rows`` rows exceed one call. Only such requests are rejected when the large lane is full."""
        return rows > self.costs.batch_rows

    def check_wait(self, rows: int = 1, waited_s: float = 0.0) -> None:
        """Raise `QueueTooLong` if ``rows`` rows that have waited, or will wait elsewhere, would wait too long."""
        wait_s = waited_s
        if self.is_sliced(rows):
            wait_s += self._large.wait_s()
        elif self._small and not (rows > self.costs.inline_rows and self._goes_to_large_lane(rows, waited_s)):
            # It was not read at once: a turn of the loop took so long.
            wait_s += max(self._clock() - self._turn_began_s, self._last_turn_s) + self._small_s()
            self.is_late = wait_s > self.max_queue_s
        self._check_in_time(wait_s)

    def check_arriving(self, rows: int, deadline_s: float, waited_s: float = 0.0, own_rows: int = 0) -> None:
        """Raise what `submit` would for ``rows`` more in the large lane, counting those still arriving.

        ``own_rows`` are those of the same request that were counted before.
        """
        large = self._large
        self._check_room(large.rows + self.arriving_rows, rows)
        self._check_in_time(waited_s + large.wait_s(self.arriving_rows - own_rows))
        now = self._clock()
        if now + self.costs.of(large.rows + rows) > deadline_s:
            raise self._too_late(large.rows + rows, deadline_s, now)

    def waiting(self) -> dict[str, Waiting]:
        """What waits in each lane now, without what is still arriving."""
        return {
            "small": Waiting(self._small_rows, self._small_s()),
            "large": Waiting(self._large.rows, self._large.wait_s()),
        }

    def call_age_s(self) -> float:
        """How long the present call in the thread has been running, in seconds; 0 if there is none."""
        return self._large.call_age_s()

    def acquire(self) -> None:
        """Announce a request that will be submitted later, so that `drain` waits for it; pair it with `release`."""
        self._expected += 1

    def release(self) -> None:
        """The request announced by `acquire` was submitted, or never will be."""
        self._expected -= 1
        self._notify_if_idle()

    def idle(self) -> bool:
        """Whether every accepted request is answered, and no announced one is left."""
        return self._is_small_idle() and self._large.idle

    async def drain(self) -> None:
        """Wait until the batcher is `idle`. It still accepts requests: the caller has to stop sending them."""
        while not self.idle():
            await self._large.drain()
            if not self._is_small_idle():
                if self._small_idle is None:
                    self._small_idle = asyncio.Event()
                await self._small_idle.wait()

    def close(self) -> None:
        """Stop the thread, and answer what still waits with `NotReady`. To let it finish, `drain` first."""
        self._closed = True
        for batch in self._small:
            for job in batch.jobs:
                if not job.cancelled:
                    job.done(stopped())
                    job.cancel()
        self._large.close()

    def _is_small_idle(self) -> bool:
        return not (self._small or self._running or self._expected)

    def _notify_if_idle(self) -> None:
        if self._small_idle is not None and self._is_small_idle():
            self._small_idle.set()
            self._small_idle = None

    def _goes_to_large_lane(self, count: int, waited_s: float) -> bool:
        """Whether ``count`` rows go there. If they can run in one call, they do not if they would be rejected."""
        ahead_s = self._large.wait_s()
        wait_s = waited_s + ahead_s if ahead_s else 0.0  # with nothing before it, it runs, however long it waited
        if self.is_sliced(count):
            self._check_room(self._large.rows, count)
            self._check_in_time(wait_s)
            return True
        return self._large.rows + count <= self._queue_rows and wait_s <= self.max_queue_s

    def _check_room(self, waiting_rows: int, count: int) -> None:
        if waiting_rows + count > self._queue_rows:
            raise self._overloaded(waiting_rows, count, self._large.wait_s())

    def _check_in_time(self, wait_s: float) -> None:
        if wait_s > self.max_queue_s:
            raise QueueTooLong(
                f"these rows would wait {wait_s:.3g} s for those before them, and at most {self.max_queue_s:g} s is "
                "allowed; send fewer requests at once, or add replicas",
                wait_s,
            )

    def _small_s(self) -> float:
        """Seconds until what waits in the small lane has run, at its present pace."""
        calls = len(self._small)
        running_s = self._pace.of(self.costs.run_s * calls + self.costs.row_s * self._small_rows, calls)
        return running_s + min(self._reading_s * calls, self._reading_s + running_s)

    def _too_late(self, rows: int, deadline_s: float, now: float) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"these rows would take {self.costs.of(rows):.3g} s with those before them, and "
            f"{max(deadline_s - now, 0):.3g} s are left; allow more time, or send fewer rows"
        )

    def _overloaded(self, waiting_rows: int, count: int, drained_s: float) -> Overloaded:
        return Overloaded(
            f"{waiting_rows} rows wait already, and {count} more would exceed {self._queue_rows}; "
            "send fewer requests at once, or add replicas",
            drained_s,
        )

    def _make_room(self, count: int) -> None:
        """Run batches of the small lane until ``count`` rows fit: they are cheap to run, and a rejection costs more.

        Not while a batch is being answered, since one of its clients may submit again at once.
        """
        while self._small_rows + count > self._queue_rows:
            if self._running or not self._small:
                raise self._overloaded(self._small_rows, count, self._small_s())
            self._run_batch(self._small.popleft(), self._clock())

    def _open_batch(self, waited_s: float) -> _Batch:
        """Append an empty batch to the small lane, and schedule the lane's next run. Raises `QueueTooLong`."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._turn_began_s = self._clock()
            self._last_turn_s = 0.0
            asyncio.get_running_loop().call_soon(self._run_small)
        elif self._small:
            self.check_wait(waited_s=waited_s)
        batch = self._spare.pop() if self._spare else self._new_batch()
        self._small.append(batch)
        return batch

    def _run_small(self) -> None:
        """Run one batch. Others wait for the next turn, so that the loop can serve its sockets in between.

        While the queue is long, run for as long as the loop has read: else reading what is rejected leaves no time.
        """
        began_s = ended_s = self._clock()
        reading_s = began_s - self._turn_began_s
        self._reading_s = max(reading_s, _READING_DECAY * self._reading_s)
        is_long = len(self._small) > 1 and self._small_s() > self.max_queue_s / 2
        while self._small:
            ended_s = self._run_batch(self._small.popleft(), ended_s)
            if not is_long or ended_s - began_s >= reading_s:
                break
        self._is_scheduled = bool(self._small)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._run_small)
        self._last_turn_s, self._turn_began_s = ended_s - self._turn_began_s, ended_s

    def _run_batch(self, batch: _Batch, started_s: float) -> float:
        """Run and answer a batch; returns when that was done."""
        self._running = True
        self.is_late = False
        self._small_rows -= batch.filled
        ended_s = started_s
        if any([job.cancelled or job.deadline_s < started_s for job in batch.jobs]):  # noqa: C419 - a list is faster
            batch.keep(lambda job: job.still_wanted(started_s))
        if batch.jobs:
            outputs = self._run(batch.rows[: batch.filled])
            inference_s = self._clock() - started_s
            overflowed = overflowed_rows(outputs)
            good = None if len(overflowed) or isinstance(outputs, ModelFailed) else outputs
            first = 0
            for job in batch.jobs:
                end = first + job.count
                job.queue_s, job.inference_s = started_s - job.accepted_s, inference_s
                job.batch_rows = batch.filled
                job.answer(good.rows(first, end) if good is not None else share(outputs, overflowed, first, end))
                first = end
            self._run.report(batch.rows[: batch.filled], outputs, overflowed, inference_s)  # now that no client waits
            ended_s = self._clock()
            cost_s = self.costs.run_s + self.costs.row_s * batch.filled
            self._pace.add(ended_s - started_s, inference_s, cost_s)
        batch.jobs, batch.filled = [], 0
        if len(self._spare) < _SPARE_BATCHES:
            self._spare.append(batch)
        self._running = False
        if self._small_idle is not None:
            self._notify_if_idle()
        return ended_s
