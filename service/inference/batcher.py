"""Gather the rows that are there, run them once, give each caller its own: a batch never waits for a timer.

Rows that arrive in one turn of the event loop run as one call at its end, on the loop itself: for a small network that
is cheaper than waking a thread. A request too large for that goes to a second lane, which runs it slice by slice in a
thread, so that neither the loop nor the small requests wait for it. Each lane has its own bound: large requests refuse
no small ones. What one call can run is never refused while it can be run instead: where there is no room for it in the
second lane it goes to the first, and where that is full, what waits there runs.
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
Rows = NDArray[Any]  # of any dtype whose values the network's can hold

_NO_ROWS: Final = np.empty(0, np.intp)
# Arrays kept for the next turns; a burst may take more, and gives them back.
_SPARE_BATCHES: Final = 4
_RESTART_S: Final = 1.0
# How long the thread runs before the loop hears of it, which costs a turn of the loop each time: where those are longer
# it runs as long as they are, within bounds.
_CALL_S: Final = 0.015
_LONGEST_CALL_S: Final = 0.2
# The share that the last call has in the pace of the large lane.
_PACE_SHARE: Final = 0.2


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

    ``done`` is called once, with the answer or the reason why there is none, unless the job was cancelled.
    """

    # Defaults on the class: one is made for each request, and most never change.
    queue_s: float = 0.0
    inference_s: float = 0.0
    cancelled: bool = False

    def __init__(
        self, count: int, deadline_s: float, done: Callable[[Outputs | RequestError], None], accepted_s: float
    ) -> None:
        self.count = count
        self.deadline_s = deadline_s
        self.done = done
        self.accepted_s = accepted_s

    def cancel(self) -> None:
        """Nobody waits for the answer any more: rows that have not run will not, and ``done`` is not called."""
        self.cancelled = True
        self.done = _ignore  # what it was holds the request, which holds the job: only the collector would free them


def _ignore(_outcome: Outputs | RequestError) -> None:
    pass


class _Batch:
    """Rows of several jobs, one after the other, in one array: a job's own array is free as soon as it is copied here.

    While a turn's requests are read, what was read stays in the processor's cache only if it is small.
    """

    def __init__(self, rows: int, features: int, dtype: DTypeLike) -> None:
        self.rows = np.empty((rows, features), dtype)
        self.jobs: list[Job] = []
        self.filled = 0

    def add(self, job: Job, rows: Rows) -> None:
        end = self.filled + job.count
        self.rows[self.filled : end] = rows
        self.filled = end
        self.jobs.append(job)

    def keep(self, wanted: Callable[[Job], bool]) -> None:
        """Leave out the jobs that are not ``wanted``, so that their rows do not run."""
        kept, first, filled = [], 0, 0
        for job in self.jobs:
            if wanted(job):
                if first != filled:
                    self.rows[filled : filled + job.count] = self.rows[first : first + job.count]
                filled += job.count
                kept.append(job)
            first += job.count
        self.jobs, self.filled = kept, filled


class _Sliced:
    """A large job on its way: its rows, how many of them ran, how many will in this call, and the answers so far."""

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
    """Rows ``first`` to ``end`` of a large job, which run as one."""

    of: _Sliced
    first: int
    end: int


class Batcher:
    """Both lanes in front of one network.

    ``run`` takes ``dtype`` (rows, features). ``queue_rows`` bounds the rows of each lane that were accepted and have
    not run. ``ran`` is told of each run's outputs that are finite numbers: a row so large that the network overflows
    fails its own request alone. ``clock`` gives seconds and is the one deadlines are told in.

    ``arriving_rows`` are those of large requests whose bodies are on their way: whoever reads them counts them here.
    """

    def __init__(
        self,
        run: Run,
        costs: Costs,
        *,
        features: int,
        queue_rows: int,
        clock: Callable[[], float],
        ran: Callable[[NDArray[np.float32] | None, NDArray[Any]], None],
        dtype: DTypeLike = np.float32,
    ) -> None:
        self._run = run
        self._costs = costs
        self._queue_rows = queue_rows
        self._clock = clock
        self._ran = ran
        self._dtype = dtype
        self._new_batch = partial(_Batch, costs.batch_rows, features, dtype)
        self._small: deque[_Batch] = deque()
        self._small_rows = 0
        self._turn_comes = self._running = self._closed = False
        self._spare: list[_Batch] = []
        self._large: list[_Sliced] = []
        self._large_rows = 0
        self._oldest_first = True
        self._call_s = _CALL_S
        self._call_ended_s = 0.0
        # How many times longer than measured at start large requests take now, with all else that goes on.
        self._pace = 1.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._large_lane: asyncio.Task[None] | None = None
        self.arriving_rows = 0

    def submit(self, rows: Rows, deadline_s: float, done: Callable[[Outputs | RequestError], None]) -> Job:
        """Accept rows to be answered through ``done``, later in this turn of the running loop or after it.

        Raises `Overloaded` where the queue has no room, `DeadlineExceeded` where the rows before these take too long
        already, and `NotReady` after `close`.
        """
        if self._closed:
            raise self._stopped()
        count, now = len(rows), self._clock()
        is_large = count > self._costs.inline_rows
        if is_large and not self.is_sliced(count):
            is_large = self._large_rows + count <= self._queue_rows
        if is_large:
            self._check_room(self._large_rows, count)
        else:
            self._make_room(count)
        # A large request waits for all others, a small one for small ones alone.
        self._check_time(self._small_rows + count + (self._large_rows if is_large else 0), deadline_s, now)
        job = Job(count, deadline_s, done, now)
        if is_large:
            self._large_rows += count
            self._large.append(_Sliced(job, rows))
            if self._large_lane is None:
                self._large_lane = asyncio.get_running_loop().create_task(self._run_large())
        else:
            self._small_rows += count
            self._open_batch(count).add(job, rows)
        return job

    def is_sliced(self, rows: int) -> bool:
        """Whether so many rows are more than one call runs: then they are refused where there is no room."""
        return rows > self._costs.batch_rows

    def check_arriving(self, rows: int, deadline_s: float) -> None:
        """What `submit` would raise for ``rows`` more in the large lane: of room those that arrive take some, too."""
        self._check_room(self._large_rows + self.arriving_rows, rows)
        self._check_time(self._large_rows + rows, deadline_s, self._clock())

    def close(self) -> None:
        """Let the thread go; what still waits, after a drain that was too short for it, is told so and does not run."""
        self._closed = True
        if self._large_lane is not None:
            self._large_lane.cancel()
        for job in [*(job for batch in self._small for job in batch.jobs), *(sliced.job for sliced in self._large)]:
            if not job.cancelled:
                job.done(self._stopped())
                job.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)  # these answers are counted while a run still ends

    @staticmethod
    def _stopped() -> NotReady:
        return NotReady("the server stopped before these rows had their turn; try again", _RESTART_S)

    def _check_room(self, waiting_rows: int, count: int) -> None:
        if waiting_rows + count > self._queue_rows:
            raise self._overloaded(waiting_rows, count, self._pace * self._costs.of(waiting_rows))

    def _check_time(self, rows: int, deadline_s: float, now: float) -> None:
        needed_s = self._costs.of(rows)
        if now + needed_s > deadline_s:
            raise DeadlineExceeded(
                f"these rows would take {needed_s:.3g} s with those before them, and "
                f"{max(deadline_s - now, 0):.3g} s are left; allow more time, or send fewer rows"
            )

    def _overloaded(self, waiting_rows: int, count: int, drained_s: float) -> Overloaded:
        return Overloaded(
            f"{waiting_rows} rows wait already, and {count} more would exceed {self._queue_rows}; "
            "send fewer requests at once, or add replicas",
            drained_s,
        )

    def _make_room(self, count: int) -> None:
        """Run what waits in the small lane where ``count`` rows are too many: it is there, and a refusal costs more.

        Not while a batch is being answered, and one of its clients asks again at once.
        """
        while self._small_rows + count > self._queue_rows:
            if self._running or not self._small:
                raise self._overloaded(self._small_rows, count, self._costs.of(self._small_rows))
            self._run_batch(self._small.popleft())

    def _open_batch(self, count: int) -> _Batch:
        """The batch that rows are added to: the last one, or another where it has no room for ``count`` more."""
        if self._small and self._small[-1].filled + count <= self._costs.batch_rows:
            return self._small[-1]
        batch = self._spare.pop() if self._spare else self._new_batch()
        self._small.append(batch)
        if not self._turn_comes:
            self._turn_comes = True
            asyncio.get_running_loop().call_soon(self._run_small)
        return batch

    def _run_small(self) -> None:
        """One call with what this turn brought; what did not fit waits for the loop to look after its sockets."""
        self._turn_comes = len(self._small) > 1
        if self._turn_comes:
            asyncio.get_running_loop().call_soon(self._run_small)
        if self._small:
            self._run_batch(self._small.popleft())

    def _run_batch(self, batch: _Batch) -> None:
        self._running = True
        self._small_rows -= batch.filled
        started_s = self._clock()
        if any([job.cancelled or job.deadline_s < started_s for job in batch.jobs]):  # noqa: C419 - a list is quicker
            batch.keep(lambda job: self._still_wanted(job, started_s))
        if batch.jobs:
            outputs = self._guarded(batch.rows[: batch.filled])
            inference_s = self._clock() - started_s
            overflowed = self._told(outputs)
            first = 0
            for job in batch.jobs:
                end = first + job.count
                job.queue_s, job.inference_s = started_s - job.accepted_s, inference_s
                self._answer(job, _rows(outputs, overflowed, first, end))
                first = end
        batch.jobs, batch.filled = [], 0
        if len(self._spare) < _SPARE_BATCHES:
            self._spare.append(batch)
        self._running = False

    async def _run_large(self) -> None:
        """One call after another in the thread, each of as many slices as its time allows, until no job is left."""
        self._pace = 1.0
        try:
            while self._large:
                began_s = self._clock()
                self._large = [sliced for sliced in self._large if self._still_waits(sliced, began_s)]
                if self._large:
                    await self._run_call(self._plan(), began_s)
        finally:
            self._large_lane = None

    async def _run_call(self, plan: list[_Slice], began_s: float) -> None:
        for sliced in {each.of for each in plan if each.first == 0}:
            sliced.job.queue_s = began_s - sliced.job.accepted_s
        outcomes = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._run_slices, plan, began_s + self._call_s
        )
        self._call_s = min(max(self._clock() - self._call_ended_s, _CALL_S), _LONGEST_CALL_S)
        for each, (outputs, inference_s) in zip(plan, outcomes, strict=False):
            self._take(each, outputs, inference_s)
        for each in plan:
            each.of.planned = each.of.ran
        rows = sum(each.end - each.first for each in plan[: len(outcomes)])
        times = (self._clock() - began_s) / self._costs.of(rows)
        self._pace = max(self._pace + _PACE_SHARE * (times - self._pace), 1.0)

    def _plan(self) -> list[_Slice]:
        """The slices of the next call: those of the oldest job, every other time of the shortest before it.

        One job after the other is answered, where turns would answer all of them at the end; and none waits for ever.
        """
        waiting = sorted(self._large, key=lambda sliced: sliced.left)
        if self._oldest_first:
            waiting.insert(0, self._large[0])
        self._oldest_first = not self._oldest_first
        plan: list[_Slice] = []
        planned_s = 0.0
        for sliced in waiting:
            while sliced.planned < sliced.job.count:
                if planned_s >= self._call_s:
                    return plan
                first = sliced.planned
                sliced.planned = min(first + self._costs.batch_rows, sliced.job.count)
                plan.append(_Slice(sliced, first, sliced.planned))
                planned_s += self._costs.of(sliced.planned - first)
        return plan

    def _run_slices(self, plan: list[_Slice], until_s: float) -> list[tuple[Outputs | ModelFailed | None, float]]:
        """In the thread: the outputs of the slices, and the seconds each took; one at least, and none too late.

        What need not run any more, as its job failed or is not waited for, has none.
        """
        outcomes: list[tuple[Outputs | ModelFailed | None, float]] = []
        for sliced, first, end in plan:
            began_s = self._clock()
            if self._closed or (outcomes and began_s >= until_s):
                break
            outputs = None if sliced.failed or sliced.job.cancelled else self._guarded(sliced.rows[first:end])
            sliced.failed |= isinstance(outputs, ModelFailed)
            outcomes.append((outputs, self._clock() - began_s))
        self._call_ended_s = self._clock()
        return outcomes

    def _take(self, ran: _Slice, outputs: Outputs | ModelFailed | None, inference_s: float) -> None:
        """Keep the outputs of a slice; answer the job where they are the last ones, or none."""
        sliced, first, end = ran
        if outputs is None or sliced.left == 0:
            return
        part = _rows(outputs, self._told(outputs), 0, end - first, before=first)
        sliced.job.inference_s += inference_s
        if isinstance(part, RequestError):
            self._answer_large(sliced, part)
            return
        sliced.parts.append(part)
        sliced.ran = end
        if end == sliced.job.count:
            self._answer_large(sliced, Outputs.joined(sliced.parts))

    def _answer_large(self, sliced: _Sliced, outcome: Outputs | RequestError) -> None:
        sliced.ran = sliced.job.count
        self._large_rows -= sliced.job.count
        self._answer(sliced.job, outcome)

    def _still_waits(self, sliced: _Sliced, now: float) -> bool:
        """Whether a large job has rows to run that can be answered in time."""
        job = sliced.job
        if sliced.left == 0:
            return False
        if not self._still_wanted(job, now):
            self._large_rows -= job.count
            return False
        needed_s = self._costs.of(sliced.left)
        if now + needed_s > job.deadline_s:
            late = f"the rest of these rows would take {needed_s:.3g} s, and {job.deadline_s - now:.3g} s are left"
            self._answer_large(sliced, DeadlineExceeded(f"{late}; allow more time, or send fewer rows"))
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
        except Exception:  # noqa: BLE001 - whatever it was, these rows are answered and the next ones run
            _log.exception("the network failed on a batch of %d rows", len(batch))
            return ModelFailed("the model failed on this input; the server's log has the reason under this request id")

    def _told(self, outputs: Outputs | ModelFailed) -> NDArray[np.intp]:
        """Tell of the run; the rows that overflowed."""
        if isinstance(outputs, ModelFailed):
            return _NO_ROWS
        overflowed = outputs.overflowed()
        try:
            self._ran(*(outputs.without(overflowed) if len(overflowed) else outputs))
        except Exception:  # noqa: BLE001 - what cannot be counted is answered all the same
            _log.exception("a run of the network is not counted")
        return overflowed

    def _answer(self, job: Job, outcome: Outputs | RequestError) -> None:
        if not job.cancelled:
            try:
                job.done(outcome)
            except Exception:  # noqa: BLE001 - the others of the batch are answered
                _log.exception("an answer of %d rows could not be given", job.count)
        del job.done  # it holds the request, which holds the job: only the collector would ever free them


def _rows(
    outputs: Outputs | ModelFailed, overflowed: NDArray[np.intp], first: int, end: int, *, before: int = 0
) -> Outputs | RequestError:
    """What a job gets of a run: its rows ``first`` to ``end``, of which ``before`` others of the job ran earlier."""
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
