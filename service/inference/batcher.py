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
from functools import partial
from typing import Any, Final

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


@dataclass(slots=True, eq=False)
class _Sliced:
    """A large job on its way: its rows, how many of them ran, and the answers so far."""

    job: Job
    rows: Rows
    ran: int
    parts: list[Outputs]


class Batcher:
    """Both lanes in front of one network.

    ``run`` takes ``dtype`` (rows, features). ``queue_rows`` bounds the rows accepted and not yet answered. ``ran`` is
    told of each run's outputs that are finite numbers: a row so large that the network overflows fails its own request
    alone. ``clock`` gives seconds and is the one deadlines are told in.
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
        self._spare: list[_Batch] = []
        self._large: deque[_Sliced] = deque()
        self._waiting_rows = 0
        self._large_rows = 0
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
        is_large = count > self._costs.inline_rows
        # A large request waits for all others, a small one for small ones alone.
        needed_s = self._costs.of(self._waiting_rows + count - (0 if is_large else self._large_rows))
        if now + needed_s > deadline_s:
            raise DeadlineExceeded(
                f"these rows would take {needed_s:.3g} s with those before them, and "
                f"{max(deadline_s - now, 0):.3g} s are left; allow more time, or send fewer rows"
            )
        job = Job(count, deadline_s, done, now)
        self._waiting_rows += count
        if is_large:
            self._large_rows += count
            self._large.append(_Sliced(job, rows, 0, []))
            if self._large_lane is None:
                self._large_lane = asyncio.get_running_loop().create_task(self._run_large())
        else:
            self._open_batch(count).add(job, rows)
        return job

    def close(self) -> None:
        """Let the thread go; what still waits, after a drain that was too short for it, is told so and does not run."""
        if self._large_lane is not None:
            self._large_lane.cancel()
        for job in [*(job for batch in self._small for job in batch.jobs), *(sliced.job for sliced in self._large)]:
            if not job.cancelled:
                job.done(NotReady("the server stopped before these rows had their turn; try again", _RESTART_S))
                job.cancel()
        self._thread.shutdown(cancel_futures=True)

    def _open_batch(self, count: int) -> _Batch:
        """The batch that rows are added to: the last one, or another where it has no room for ``count`` more."""
        if self._small and self._small[-1].filled + count <= self._costs.batch_rows:
            return self._small[-1]
        batch = self._spare.pop() if self._spare else self._new_batch()
        self._small.append(batch)
        if len(self._small) == 1:
            asyncio.get_running_loop().call_soon(self._run_small)
        return batch

    def _run_small(self) -> None:
        """One call with what this turn brought; what did not fit waits for the loop to look after its sockets."""
        batch = self._small.popleft()
        if self._small:
            asyncio.get_running_loop().call_soon(self._run_small)
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

    async def _run_large(self) -> None:
        """One slice of one job after another in the thread, each job in its turn, until none is left."""
        while self._large:
            goes_on = await self._run_slice(self._large[0])
            sliced = self._large.popleft()
            if goes_on:
                self._large.append(sliced)
            else:
                self._large_rows -= sliced.job.count
        self._large_lane = None

    async def _run_slice(self, sliced: _Sliced) -> bool:
        """Whether there is more of it to run."""
        job, started_s = sliced.job, self._clock()
        if not self._still_wanted(job, started_s):
            return False
        if sliced.ran == 0:
            job.queue_s = started_s - job.accepted_s
        end = min(sliced.ran + self._costs.batch_rows, job.count)
        rows = sliced.rows[sliced.ran : end]
        outputs = await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, rows)
        job.inference_s += self._clock() - started_s
        part = _rows(outputs, self._told(outputs), 0, len(rows), before=sliced.ran)
        if isinstance(part, RequestError):
            self._answer(job, part)
            return False
        sliced.parts.append(part)
        sliced.ran = end
        if end < job.count:
            return True
        self._answer(job, Outputs.joined(sliced.parts))
        return False

    def _still_wanted(self, job: Job, now: float) -> bool:
        if job.cancelled:
            self._waiting_rows -= job.count
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
        self._waiting_rows -= job.count
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
