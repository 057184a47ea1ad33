"""Gathers the rows of concurrent requests, runs them as one batch, and gives each caller its own answer.

Two lanes share one network. Rows that arrive in one turn of the event loop run as one call at its end, on the loop
itself: no batch waits for a timer, and for a small network that is cheaper than waking a thread. Requests too large for
that go to a second lane, which runs them slice by slice in a thread, so that neither the loop nor small requests wait.

Each lane has its own bound, so large requests never cause a small one to be rejected. A request that fits one call is
not rejected while it can run: if the second lane has no room it goes to the first, and if that is full, a batch of it
runs at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from service.errors import DeadlineExceeded, Fault, InvalidInput, ModelFailed, NotReady, Overloaded, RequestError
from service.inference.session import Outputs

_log = logging.getLogger(__name__)

Run = Callable[[NDArray[Any]], Outputs]
Rows = NDArray[Any]  # (rows, features), of any dtype whose values the network's dtype can hold
Done = Callable[[Outputs | RequestError], None]

_NO_ROWS: Final = np.empty(0, np.intp)
# Arrays kept for the next turns. A burst may use more, which are freed after it.
_SPARE_BATCHES: Final = 4
_RESTART_S: Final = 1.0
# How long the thread runs before it reports to the loop. Reporting costs a turn of the loop, so where turns are longer
# than this, a call is as long as a turn, up to the maximum.
_CALL_S: Final = 0.015
_MAX_CALL_S: Final = 0.2
# Weight of the last call in the moving average of the large lane's pace.
_PACE_WEIGHT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Costs:
    """What running the network takes, as measured at start: ``run_s`` for a call and ``row_s`` for each row in it.

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
    """One request in the queue. ``queue_s`` and ``inference_s`` are set before ``done`` is called.

    ``done`` is called once, with the outputs or the error, unless the job was cancelled.
    """

    __slots__ = ("accepted_s", "cancelled", "count", "deadline_s", "done", "inference_s", "queue_s")

    def __init__(self, count: int, deadline_s: float, done: Done, accepted_s: float) -> None:
        self.queue_s = 0.0
        self.inference_s = 0.0
        self.cancelled = False
        self.count = count
        self.deadline_s = deadline_s
        self.done = done
        self.accepted_s = accepted_s

    def cancel(self) -> None:
        """Drop the request: rows that have not run will not run, and ``done`` is not called."""
        self.cancelled = True
        self.done = _ignore  # breaks the reference cycle of job and request


def _ignore(_outcome: Outputs | RequestError) -> None:
    pass


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


class _LargeJob:
    """A job of the large lane: its rows, how many of them ran, how many will in this call, and the outputs so far."""

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


class Batcher:
    """Both lanes in front of one network.

    ``run`` takes ``dtype`` (rows, features). ``queue_rows`` bounds the rows of each lane that were accepted and have
    not run. ``clock`` gives seconds; deadlines are on the same clock.

    ``ran`` is called after each run with its rows, which are valid during the call alone, and its outputs. Both are
    without rows that overflowed: such a row fails its own request alone.

    ``arriving_rows`` counts the rows of large requests whose bodies are still arriving; their reader updates it.
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
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.costs = costs
        self.arriving_rows = 0
        self._row_s = costs.row_s + costs.run_s / costs.batch_rows
        self._run = run
        self._queue_rows = queue_rows
        self._clock = clock
        self._ran = ran
        self._dtype = dtype
        self._new_batch = partial(_Batch, costs.batch_rows, features, dtype)
        self._small: deque[_Batch] = deque()
        self._small_rows = 0
        self._is_scheduled = self._running = self._closed = False
        self._spare: list[_Batch] = []
        self._large: list[_LargeJob] = []
        self._large_rows = 0
        self._large_lane: asyncio.Task[None] | None = None
        self._oldest_first = True
        self._call_s = _CALL_S
        self._call_began_s: float | None = None
        self._call_ended_s = 0.0
        # How many times longer than measured at start large requests take at present.
        self._pace = 1.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._expected = 0
        self._became_idle: asyncio.Event | None = None

    def submit(self, rows: Rows, deadline_s: float, done: Done) -> Job:
        """Accept ``rows`` (rows, features); ``done`` is called later in this turn of the running loop, or after it.

        Raises `Overloaded` if the queue has no room, `DeadlineExceeded` if the rows ahead of these already take too
        long, and `NotReady` after `close`.
        """
        if self._closed:
            raise _stopped()
        count, now, costs = len(rows), self._clock(), self.costs
        is_large = count > costs.inline_rows
        if is_large and not self.is_sliced(count):
            is_large = self._large_rows + count <= self._queue_rows
        if is_large:
            self._check_room(self._large_rows, count)
        elif self._small_rows + count > self._queue_rows:
            self._make_room(count)
        # A large request waits for all others, a small one for small ones alone.
        ahead_rows = self._small_rows + self._large_rows if is_large else self._small_rows
        if now + costs.run_s + self._row_s * (ahead_rows + count) > deadline_s:
            raise self._too_late(ahead_rows + count, deadline_s, now)
        job = Job(count, deadline_s, done, now)
        if is_large:
            self._large_rows += count
            self._large.append(_LargeJob(job, rows))
            if self._large_lane is None:
                self._large_lane = asyncio.get_running_loop().create_task(self._run_large())
        else:
            self._small_rows += count
            small = self._small
            batch = small[-1] if small and small[-1].filled + count <= costs.batch_rows else self._open_batch()
            end = batch.filled + count
            batch.rows[batch.filled : end] = rows
            batch.filled = end
            batch.jobs.append(job)
        return job

    def is_sliced(self, rows: int) -> bool:
        """Whether ``rows`` rows exceed one call. Only such requests are rejected when the large lane is full."""
        return rows > self.costs.batch_rows

    def check_arriving(self, rows: int, deadline_s: float) -> None:
        """Raise what `submit` would for ``rows`` more in the large lane, counting those still arriving."""
        self._check_room(self._large_rows + self.arriving_rows, rows)
        now = self._clock()
        if now + self.costs.of(self._large_rows + rows) > deadline_s:
            raise self._too_late(self._large_rows + rows, deadline_s, now)

    def call_age_s(self) -> float:
        """How long the present call in the thread has been running, in seconds; 0 if there is none."""
        return 0.0 if self._call_began_s is None else self._clock() - self._call_began_s

    def acquire(self) -> None:
        """Announce a request that will be submitted later, so that `drain` waits for it; pair it with `release`."""
        self._expected += 1

    def release(self) -> None:
        """The request announced by `acquire` was submitted, or never will be."""
        self._expected -= 1
        self._notify_if_idle()

    def idle(self) -> bool:
        """Whether every accepted request is answered, and no announced one is left."""
        return not (self._small or self._running or self._large_lane or self._expected)

    async def drain(self) -> None:
        """Wait until the batcher is `idle`. It still accepts requests: the caller has to stop sending them."""
        while not self.idle():
            if self._became_idle is None:
                self._became_idle = asyncio.Event()
            await self._became_idle.wait()

    def close(self) -> None:
        """Stop the thread, and answer what still waits with `NotReady`. To let it finish, `drain` first."""
        self._closed = True
        if self._large_lane is not None:
            self._large_lane.cancel()
        for job in [*(job for batch in self._small for job in batch.jobs), *(large.job for large in self._large)]:
            if not job.cancelled:
                job.done(_stopped())
                job.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)  # a run may still end, and be counted

    def _notify_if_idle(self) -> None:
        if self._became_idle is not None and self.idle():
            self._became_idle.set()
            self._became_idle = None

    def _check_room(self, waiting_rows: int, count: int) -> None:
        if waiting_rows + count > self._queue_rows:
            raise self._overloaded(waiting_rows, count, self._pace * self.costs.of(waiting_rows))

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
                raise self._overloaded(self._small_rows, count, self.costs.of(self._small_rows))
            self._run_batch(self._small.popleft())

    def _open_batch(self) -> _Batch:
        """Append an empty batch to the small lane, and schedule the lane's next run."""
        batch = self._spare.pop() if self._spare else self._new_batch()
        self._small.append(batch)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run_small)
        return batch

    def _run_small(self) -> None:
        """Run one batch. Others wait for the next turn, so that the loop can serve its sockets in between."""
        self._is_scheduled = len(self._small) > 1
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._run_small)
        if self._small:
            self._run_batch(self._small.popleft())

    def _run_batch(self, batch: _Batch) -> None:
        self._running = True
        self._small_rows -= batch.filled
        started_s = self._clock()
        if any([job.cancelled or job.deadline_s < started_s for job in batch.jobs]):  # noqa: C419 - a list is faster
            batch.keep(lambda job: self._still_wanted(job, started_s))
        if batch.jobs:
            outputs = self._guarded(batch.rows[: batch.filled])
            inference_s = self._clock() - started_s
            overflowed = self._count_run(batch.rows[: batch.filled], outputs)
            good = None if len(overflowed) or isinstance(outputs, ModelFailed) else outputs
            first = 0
            for job in batch.jobs:
                end = first + job.count
                job.queue_s, job.inference_s = started_s - job.accepted_s, inference_s
                self._answer(job, good.rows(first, end) if good is not None else _rows(outputs, overflowed, first, end))
                first = end
        batch.jobs, batch.filled = [], 0
        if len(self._spare) < _SPARE_BATCHES:
            self._spare.append(batch)
        self._running = False
        if self._became_idle is not None:
            self._notify_if_idle()

    async def _run_large(self) -> None:
        """Run one call after another in the thread, until no large job is left."""
        self._pace = 1.0
        try:
            while self._large:
                began_s = self._clock()
                self._large = [large for large in self._large if self._still_waits(large, began_s)]
                if self._large:
                    await self._run_call(self._plan(), began_s)
        finally:
            self._large_lane = None
            self._notify_if_idle()

    async def _run_call(self, plan: list[_Slice], began_s: float) -> None:
        for large in {each.of for each in plan if each.first == 0}:
            large.job.queue_s = began_s - large.job.accepted_s
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
        rows = sum(each.end - each.first for each in plan[: len(outcomes)])
        times = (self._clock() - began_s) / self.costs.of(rows)
        self._pace = max(self._pace + _PACE_WEIGHT * (times - self._pace), 1.0)

    def _plan(self) -> list[_Slice]:
        """The slices of the next call: alternately the oldest job first, and the one with the fewest rows left first.

        Finishing jobs one by one answers most of them earlier than taking turns would, and no job starves.
        """
        waiting = sorted(self._large, key=lambda large: large.left)
        if self._oldest_first:
            waiting.insert(0, self._large[0])
        self._oldest_first = not self._oldest_first
        plan: list[_Slice] = []
        planned_s = 0.0
        for large in waiting:
            while large.planned < large.job.count:
                if planned_s >= self._call_s:
                    return plan
                first = large.planned
                large.planned = min(first + self.costs.batch_rows, large.job.count)
                plan.append(_Slice(large, first, large.planned))
                planned_s += self.costs.of(large.planned - first)
        return plan

    def _run_slices(self, plan: list[_Slice], until_s: float) -> list[tuple[Outputs | ModelFailed | None, float]]:
        """In the thread: run at least one slice, and more until ``until_s``. Returns the outputs and seconds of each.

        A slice whose job failed or was cancelled does not run, and has None for outputs.
        """
        outcomes: list[tuple[Outputs | ModelFailed | None, float]] = []
        for large, first, end in plan:
            began_s = self._clock()
            if self._closed or (outcomes and began_s >= until_s):
                break
            outputs = None if large.failed or large.job.cancelled else self._guarded(large.rows[first:end])
            large.failed |= isinstance(outputs, ModelFailed)
            outcomes.append((outputs, self._clock() - began_s))
        self._call_ended_s = self._clock()
        return outcomes

    def _take(self, ran: _Slice, outputs: Outputs | ModelFailed | None, inference_s: float) -> None:
        """Keep a slice's outputs; answer its job after the last slice, or after an error."""
        large, first, end = ran
        if outputs is None or large.left == 0:
            return
        part = _rows(outputs, self._count_run(large.rows[first:end], outputs), 0, end - first, before=first)
        large.job.inference_s += inference_s
        if isinstance(part, RequestError):
            self._answer_large(large, part)
            return
        large.parts.append(part)
        large.ran = end
        if end == large.job.count:
            self._answer_large(large, Outputs.joined(large.parts))

    def _answer_large(self, large: _LargeJob, outcome: Outputs | RequestError) -> None:
        large.ran = large.job.count
        self._large_rows -= large.job.count
        self._answer(large.job, outcome)

    def _still_waits(self, large: _LargeJob, now: float) -> bool:
        """Whether a large job has rows to run that can be answered in time."""
        job = large.job
        if large.left == 0:
            return False
        if not self._still_wanted(job, now):
            self._large_rows -= job.count
            return False
        needed_s = self.costs.of(large.left)
        if now + needed_s > job.deadline_s:
            late = f"the rest of these rows would take {needed_s:.3g} s, and {job.deadline_s - now:.3g} s are left"
            self._answer_large(large, DeadlineExceeded(f"{late}; allow more time, or send fewer rows"))
            return False
        return True

    def _still_wanted(self, job: Job, now: float) -> bool:
        if job.cancelled:
            return False
        if now > job.deadline_s:
            waited_s = now - job.accepted_s
            self._answer(
                job,
                DeadlineExceeded(f"the time for this request ran out after {waited_s:.3g} s; allow more, or retry"),
            )
            return False
        return True

    def _guarded(self, batch: Rows) -> Outputs | ModelFailed:
        try:
            return self._run(np.ascontiguousarray(batch, self._dtype))
        except Exception:  # noqa: BLE001 - these rows are answered with an error, and the next ones run
            _log.exception("the network failed on a batch of %d rows", len(batch))
            return ModelFailed("the model failed on this input; the server's log has the reason under this request id")

    def _count_run(self, rows: Rows, outputs: Outputs | ModelFailed) -> NDArray[np.intp]:
        """Report the run to ``ran``. Returns the indices of the rows that overflowed."""
        if isinstance(outputs, ModelFailed):
            return _NO_ROWS
        overflowed = outputs.overflowed()
        try:
            if len(overflowed):
                self._ran(np.delete(rows, overflowed, axis=0), outputs.without(overflowed))
            else:
                self._ran(rows, outputs)
        except Exception:  # noqa: BLE001 - an error in the metrics must not cost anyone their answer
            _log.exception("a run of the network is not counted")
        return overflowed

    def _answer(self, job: Job, outcome: Outputs | RequestError) -> None:
        if not job.cancelled:
            try:
                job.done(outcome)
            except Exception:  # noqa: BLE001 - the other jobs of the batch are answered
                _log.exception("an answer of %d rows could not be given", job.count)
        del job.done  # breaks the reference cycle of job and request


def _stopped() -> NotReady:
    return NotReady("the server stopped before these rows had their turn; try again", _RESTART_S)


def _rows(
    outputs: Outputs | ModelFailed, overflowed: NDArray[np.intp], first: int, end: int, *, before: int = 0
) -> Outputs | RequestError:
    """A job's share of a run: its rows ``first`` to ``end``. ``before`` rows of the same job ran in earlier slices."""
    if isinstance(outputs, ModelFailed):
        return outputs
    if len(overflowed):
        for row in overflowed[(first <= overflowed) & (overflowed < end)].tolist():
            number = before + row - first
            detail = (
                f"row {number} is answered with no finite number: its values are too large for the model; send some "
                "within the ranges of its features, which GET /models/{name} lists"
            )
            return InvalidInput(Fault(detail, row=number))
    return outputs.rows(first, end)
