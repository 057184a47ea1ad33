"""The lane of large requests: runs them slice by slice in a thread, so that neither the loop nor small ones wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from service.errors import DeadlineExceeded, ModelFailed, RequestError
from service.inference.costs import Costs, Pace
from service.inference.jobs import Job, Rows, Runner, overflowed_rows, share, stopped
from service.inference.session import Outputs

# How long the thread runs before it reports to the loop. Reporting costs a turn of the loop, so where turns are longer
# than this, a call is as long as a turn, up to the maximum.
_CALL_S: Final = 0.015
_MAX_CALL_S: Final = 0.2


class _LargeJob:
    """A job of this lane: its rows, how many of them ran, how many will in this call, and the outputs so far."""

    def __init__(self, job: Job, rows: Rows) -> None:
        self.job = job
        self.rows = rows
        self.ran = 0
        self.planned = 0
        self.failed = False
        self.parts: list[Outputs] = []

    @property
    def left(self) -> int:
        """How many rows have not run."""
        return self.job.count - self.ran


class _Slice(NamedTuple):
    """Rows ``first`` to ``end`` of a large job, run as one batch."""

    of: _LargeJob
    first: int
    end: int


class LargeLane:
    """Large requests of one network. ``rows`` counts those of the requests that are not answered.

    ``max_wait_s`` is how long a request may wait for those before it: shorter ones overtake only within it.
    For the rest see `Batcher`.
    """

    def __init__(
        self,
        run: Runner,
        costs: Costs,
        *,
        clock: Callable[[], float],
        max_wait_s: float,
    ) -> None:
        self.rows = 0
        self._run = run
        self._costs = costs
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._jobs: list[_LargeJob] = []
        self._task: asyncio.Task[None] | None = None
        self._pace = Pace()
        self._oldest_first = True
        self._closed = False
        self._call_s = _CALL_S
        self._call_began_s: float | None = None
        self._call_ended_s = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")

    @property
    def idle(self) -> bool:
        """Whether every request is answered."""
        return self._task is None or self._task.done()

    def wait_s(self, more_rows: int = 0) -> float:
        """How long a new request would wait for the rows before it, and ``more_rows``, at the present pace."""
        rows = sum([large.left for large in self._jobs]) + more_rows
        return self._paced_s(rows) if rows else 0.0

    def call_age_s(self) -> float:
        """How long the present call in the thread has been running, in seconds; 0 if there is none."""
        return 0.0 if self._call_began_s is None else self._clock() - self._call_began_s

    def add(self, job: Job, rows: Rows) -> None:
        """Queue a job with its ``rows`` (rows, features)."""
        self.rows += job.count
        self._jobs.append(_LargeJob(job, rows))
        if self.idle:
            self._task = asyncio.get_running_loop().create_task(self._run_all())

    async def drain(self) -> None:
        """Wait until the requests that are here now are answered."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Stop the thread, and answer what still waits with `NotReady`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for large in self._jobs:
            if not large.job.cancelled:
                large.job.done(stopped())
                large.job.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)  # a run may still end, and be counted

    async def _run_all(self) -> None:
        """Run one call after another in the thread, until no job is left."""
        while self._jobs:
            began_s = self._clock()
            self._jobs = [large for large in self._jobs if self._still_waits(large, began_s)]
            if self._jobs:
                await self._run_call(self._plan(began_s), began_s)

    async def _run_call(self, plan: list[_Slice], began_s: float) -> None:
        for large in {each.of for each in plan if each.first == 0}:
            large.job.queue_s, large.job.batch_rows = began_s - large.job.accepted_s, 0
        self._call_began_s = began_s
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._run_slices, plan, began_s + self._call_s
            )
        finally:
            self._call_began_s = None
        self._call_s = min(max(self._clock() - self._call_ended_s, _CALL_S), _MAX_CALL_S)
        for each, (outputs, inference_s) in zip(plan, outcomes, strict=False):
            self._take(each, outputs, inference_s)
        for each in plan:
            each.of.planned = each.of.ran
        ran = [
            (each.end - each.first, spent_s)
            for each, (outputs, spent_s) in zip(plan, outcomes, strict=False)
            if outputs
        ]
        cost_s = self._costs.of(sum(rows for rows, _ in ran)) if ran else 0.0
        self._pace.add(self._clock() - began_s, sum(spent_s for _, spent_s in ran), cost_s)

    def _plan(self, now_s: float) -> list[_Slice]:
        """The slices of the next call: alternately the oldest job first, and the one with the fewest rows left first.

        Finishing jobs one by one answers most of them earlier than taking turns would, and no job starves. If a job
        would wait too long that way, they run in the order they came.
        """
        waiting = self._jobs
        if self._may_overtake(now_s):
            waiting = sorted(waiting, key=lambda large: large.left)
            if self._oldest_first:
                waiting.insert(0, self._jobs[0])
            self._oldest_first = not self._oldest_first
        plan: list[_Slice] = []
        planned_s = 0.0
        for large in waiting:
            while large.planned < large.job.count:
                if planned_s >= self._call_s:
                    return plan
                first = large.planned
                large.planned = min(first + self._costs.batch_rows, large.job.count)
                plan.append(_Slice(large, first, large.planned))
                planned_s += self._costs.of(large.planned - first)
        return plan

    def _may_overtake(self, now_s: float) -> bool:
        """Whether every job can wait for one more call, and still runs in time after those that came before it."""
        starts_s = now_s + max(self._call_s, self._paced_s(self._costs.batch_rows))
        for large in self._jobs:
            if starts_s > large.job.accepted_s + self._max_wait_s:
                return False
            starts_s += self._paced_s(large.left)
        return True

    def _paced_s(self, rows: int) -> float:
        cost_s = self._costs.of(rows)
        return self._pace.of(cost_s, self._pace.times * cost_s / self._call_s)

    def _run_slices(self, plan: list[_Slice], until_s: float) -> list[tuple[Outputs | ModelFailed | None, float]]:
        """In the thread: run at least one slice, and more until ``until_s``. Returns the outputs and seconds of each.

        A slice whose job failed or was cancelled does not run, and has None for outputs.
        """
        outcomes: list[tuple[Outputs | ModelFailed | None, float]] = []
        for large, first, end in plan:
            began_s = self._clock()
            if self._closed or (outcomes and began_s >= until_s):
                break
            outputs = None if large.failed or large.job.cancelled else self._run(large.rows[first:end])
            large.failed |= isinstance(outputs, ModelFailed)
            outcomes.append((outputs, self._clock() - began_s))
        self._call_ended_s = self._clock()
        return outcomes

    def _take(self, ran: _Slice, outputs: Outputs | ModelFailed | None, inference_s: float) -> None:
        """Keep a slice's outputs; answer its job after the last slice, or after an error."""
        large, first, end = ran
        if outputs is None or large.left == 0:
            return
        overflowed = overflowed_rows(outputs)
        self._run.report(large.rows[first:end], outputs, overflowed, inference_s)
        part = share(outputs, overflowed, 0, end - first, before=first)
        large.job.inference_s += inference_s
        large.job.batch_rows = max(large.job.batch_rows, end - first)
        if isinstance(part, RequestError):
            self._answer(large, part)
            return
        large.parts.append(part)
        large.ran = end
        if end == large.job.count:
            self._answer(large, Outputs.joined(large.parts))

    def _answer(self, large: _LargeJob, outcome: Outputs | RequestError) -> None:
        large.ran = large.job.count
        self.rows -= large.job.count
        large.job.answer(outcome)

    def _still_waits(self, large: _LargeJob, now_s: float) -> bool:
        """Whether a job has rows to run that can be answered in time."""
        job = large.job
        if large.left == 0:
            return False
        if not job.still_wanted(now_s):
            self.rows -= job.count
            return False
        needed_s = self._costs.of(large.left)
        if now_s + needed_s > job.deadline_s:
            late = f"the rest of these rows would take {needed_s:.3g} s, and {job.deadline_s - now_s:.3g} s are left"
            self._answer(large, DeadlineExceeded(f"{late}; allow more time, or send fewer rows"))
            return False
        return True
