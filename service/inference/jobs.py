"""One request in the queue, and what both lanes do with it: run its rows, count the run, answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from service.errors import DeadlineExceeded, Fault, InvalidInput, ModelFailed, NotReady, RequestError
from service.inference.session import Outputs

_log = logging.getLogger(__name__)

Run = Callable[[NDArray[Any]], Outputs]
Rows = NDArray[Any]  # (rows, features), of any dtype whose values the network's dtype can hold
Done = Callable[[Outputs | RequestError], None]

_NO_ROWS: Final = np.empty(0, np.intp)
_RESTART_S: Final = 1.0


class Job:
    """One request in the queue. ``queue_s`` and ``inference_s`` are set before ``done`` is called.

    If its rows ran, so is ``batch_rows``, the rows of the largest of the calls that ran them.

    ``done`` is called once, with the outputs or the error, unless the job was cancelled.
    """

    __slots__ = ("accepted_s", "batch_rows", "cancelled", "count", "deadline_s", "done", "inference_s", "queue_s")

    batch_rows: int

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

    def answer(self, outcome: Outputs | RequestError) -> None:
        """Call ``done``, unless the job was cancelled."""
        if not self.cancelled:
            try:
                self.done(outcome)
            except Exception:  # noqa: BLE001 - the other jobs of the batch are answered
                _log.exception("an answer of %d rows could not be given", self.count)
        del self.done  # breaks the reference cycle of job and request

    def still_wanted(self, now_s: float) -> bool:
        """Whether it has time left, and was not cancelled. One whose time ran out is answered."""
        if self.cancelled:
            return False
        if now_s > self.deadline_s:
            waited_s = now_s - self.accepted_s
            self.answer(
                DeadlineExceeded(f"the time for this request ran out after {waited_s:.3g} s; allow more, or retry")
            )
            return False
        return True


class Runner:
    """Runs the network on rows of any dtype, and reports each run to ``ran``; see `Batcher` for the arguments."""

    def __init__(self, run: Run, ran: Callable[[Rows, Outputs], None], dtype: DTypeLike) -> None:
        self._run = run
        self._ran = ran
        self._dtype = dtype
        self.executions: dict[int, tuple[int, float]] = {}

    def __call__(self, rows: Rows) -> Outputs | ModelFailed:
        """The outputs, or the error that is logged with its reason."""
        try:
            return self._run(np.ascontiguousarray(rows, self._dtype))
        except Exception:  # noqa: BLE001 - these rows are answered with an error, and the next ones run
            _log.exception("the network failed on a batch of %d rows", len(rows))
            return ModelFailed("the model failed on this input; the server's log has the reason under this request id")

    def report(self, rows: Rows, outputs: Outputs | ModelFailed, overflowed: NDArray[np.intp], took_s: float) -> None:
        """Report a run that took so many seconds. ``overflowed`` are the indices of its rows that overflowed."""
        if isinstance(outputs, ModelFailed):
            return
        runs, before_s = self.executions.get(len(rows), (0, 0.0))
        self.executions[len(rows)] = runs + 1, before_s + took_s
        try:
            if len(overflowed):
                self._ran(np.delete(rows, overflowed, axis=0), outputs.without(overflowed))
            else:
                self._ran(rows, outputs)
        except Exception:  # noqa: BLE001 - an error in the metrics must not cost anyone their answer
            _log.exception("a run of the network is not counted")


def overflowed_rows(outputs: Outputs | ModelFailed) -> NDArray[np.intp]:
    """The indices of the rows of a run that overflowed."""
    return _NO_ROWS if isinstance(outputs, ModelFailed) else outputs.overflowed()


def stopped() -> NotReady:
    """The error for rows that wait when the model is closed."""
    return NotReady("the server stopped before these rows had their turn; try again", _RESTART_S)


def share(
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


def _ignore(_outcome: Outputs | RequestError) -> None:
    pass
