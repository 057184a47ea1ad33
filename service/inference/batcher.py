"""Gather the rows that are there, run them once, give each caller its own: a batch never waits for a timer.

Rows that arrive in one turn of the event loop run as one call at its end, on the loop itself: for a small network that
is cheaper than waking a thread. A request too large for that goes to a second lane, which runs it slice by slice in a
thread, so that neither the loop nor the small requests wait for it; large requests take turns, slice by slice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelFailed, Overloaded, RequestError
from service.inference.session import Outputs

_log = logging.getLogger(__name__)

Run = Callable[[NDArray[np.float32]], Outputs]
Rows = NDArray[Any]  # of any dtype whose values float32 can hold


@dataclass(frozen=True, slots=True)
class Costs:
    """What running the network takes, measured at start: ``run_s`` for a call and ``row_s`` for each row in it.

    ``inline_rows`` is the largest request that may run on the event loop, ``batch_rows`` the most rows of one call.
    """

    run_s: float
    row_s: float
    inline_rows: int
    batch_rows: int

    def of(self, rows: int) -> float:
        """Seconds that ``rows`` rows take, in full calls."""
        return self.run_s + (self.run_s / self.batch_rows + self.row_s) * rows


class Job:
    """One request's rows on their way through the network; ``queue_s`` and ``inference_s`` are known once it is done.

    ``rows`` is (rows, features) of any dtype that float32 can hold; ``done`` is called once, with the answer or the
    reason why there is none, unless the job was cancelled.
    """

    # Defaults on the class: one is made for each request, and most never change.
    queue_s: float = 0.0
    inference_s: float = 0.0
    cancelled: bool = False
    started: int = 0

    def __init__(
        self, rows: Rows, deadline_s: float, done: Callable[[Outputs | RequestError], None], accepted_s: float
    ) -> None:
        self.rows = rows
        self.deadline_s = deadline_s
        self.done = done
        self.accepted_s = accepted_s
        self.parts: list[Outputs] = []

    def cancel(self) -> None:
        """Nobody waits for the answer any more: rows that have not run will not, and ``done`` is not called."""
        self.cancelled = True


class Batcher:
    """Both lanes in front of one network.

    ``run`` takes float32 (rows, features). ``queue_rows`` bounds the rows accepted and not yet answered. ``ran`` is
    told of each run's outputs. ``clock`` gives seconds and is the one deadlines are told in.
    """

    def __init__(
        self,
        run: Run,
        costs: Costs,
        *,
        features: int,
        queue_rows: int,
        clock: Callable[[], float],
        ran: Callable[[NDArray[np.float32], NDArray[np.int64]], None],
    ) -> None:
        self._run = run
        self._costs = costs
        self._queue_rows = queue_rows
        self._clock = clock
        self._ran = ran
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._turn = np.empty((costs.batch_rows, features), np.float32)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._large_lane: asyncio.Task[None] | None = None

    def submit(self, rows: Rows, deadline_s: float, done: Callable[[Outputs | RequestError], None]) -> Job:
        """Accept rows to be answered through ``done``, later in this turn of the running loop or after it.

        Raises `Overloaded` where the queue has no room, and `DeadlineExceeded` where the rows before these take too
        long already.
        """
        count, now = len(rows), self._clock()
        if self._waiting_rows + count > self._queue_rows:
            raise Overloaded(
                f"{self._waiting_rows} rows wait already, and {count} more would exceed {self._queue_rows}; "
                "send fewer requests at once, or add replicas",
                self._costs.of(self._waiting_rows),
            )
        needed_s = self._costs.of(self._waiting_rows + count)
        if now + needed_s > deadline_s:
            raise DeadlineExceeded(
                f"the {count} rows would take {needed_s:.3g} s with those before them, and "
                f"{max(deadline_s - now, 0):.3g} s are left; allow more time, or send fewer rows"
            )
        job = Job(rows, deadline_s, done, now)
        self._waiting_rows += count
        if count > self._costs.inline_rows:
            self._large.append(job)
            if self._large_lane is None:
                self._large_lane = asyncio.get_running_loop().create_task(self._run_large())
        else:
            self._small.append(job)
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._run_small)
        return job

    def close(self) -> None:
        """Let the thread go; what is still waiting is not answered, so drain the server first."""
        if self._large_lane is not None:
            self._large_lane.cancel()
        self._thread.shutdown(cancel_futures=True)

    def _run_small(self) -> None:
        """One call with what this turn brought; what does not fit waits for the loop to look after its sockets."""
        self._scheduled = False
        jobs, filled = [], 0
        started_s = self._clock()
        while self._small and filled + len(self._small[0].rows) <= self._costs.batch_rows:
            job = self._small.popleft()
            if self._still_wanted(job, started_s):
                self._turn[filled : filled + len(job.rows)] = job.rows
                filled += len(job.rows)
                jobs.append(job)
        if self._small:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run_small)
        if not jobs:
            return
        outputs = self._guarded(self._turn[:filled])
        if isinstance(outputs, Outputs):
            self._ran(*outputs)
        inference_s = self._clock() - started_s
        first = 0
        for job in jobs:
            end = first + len(job.rows)
            job.queue_s, job.inference_s = started_s - job.accepted_s, inference_s
            self._answer(job, outputs if isinstance(outputs, ModelFailed) else outputs.rows(first, end))
            first = end

    async def _run_large(self) -> None:
        """One slice of one job after another in the thread, each job in its turn, until none is left."""
        loop = asyncio.get_running_loop()
        while self._large:
            job = self._large.popleft()
            started_s = self._clock()
            if not self._still_wanted(job, started_s):
                continue
            if not job.parts:
                job.queue_s = started_s - job.accepted_s
            end = job.started + self._costs.batch_rows
            rows = np.ascontiguousarray(job.rows[job.started : end], np.float32)
            outputs = await loop.run_in_executor(self._thread, self._guarded, rows)
            job.inference_s += self._clock() - started_s
            if isinstance(outputs, ModelFailed):
                self._answer(job, outputs)
                continue
            self._ran(*outputs)
            job.parts.append(outputs)
            job.started = end
            if job.started < len(job.rows):
                self._large.append(job)
            else:
                self._answer(job, Outputs.joined(job.parts))
        self._large_lane = None

    def _still_wanted(self, job: Job, now: float) -> bool:
        if job.cancelled:
            self._waiting_rows -= len(job.rows)
            return False
        if now > job.deadline_s:
            waited_s = now - job.accepted_s
            self._answer(
                job,
                DeadlineExceeded(f"the time for this request ran out after {waited_s:.3g} s; allow more, or retry"),
            )
            return False
        return True

    def _guarded(self, batch: NDArray[np.float32]) -> Outputs | ModelFailed:
        try:
            return self._run(batch)
        except Exception:  # noqa: BLE001 - whatever it was, these rows are answered and the next ones run
            _log.exception("the network failed on a batch of %d rows", len(batch))
            return ModelFailed("the model failed on this input; the server's log has the reason under this request id")

    def _answer(self, job: Job, outcome: Outputs | RequestError) -> None:
        self._waiting_rows -= len(job.rows)
        if not job.cancelled:
            job.done(outcome)
