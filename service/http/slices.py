"""Work that is too long for one turn of the event loop, done a slice a turn: other requests are answered in between.

It is a generator that yields wherever it can pause, every millisecond or so. One piece of work is done after the other,
so that what they hold while they are under way is held once; what is on its way out goes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from service.errors import DeadlineExceeded, NotReady
from service.inference.steps import Steps, T

_log = logging.getLogger(__name__)

SLICE_S: Final = 0.002
_RESTART_S: Final = 1.0


class Owner(Protocol):
    """Whoever the work is for."""

    cancelled: bool


@dataclass(slots=True, eq=False)
class _Work:
    steps: Steps[Any]
    owner: Owner
    deadline_s: float
    done: Callable[[Any, float, float], None]
    added_s: float
    spent_s: float = 0.0


class Slices:
    """The work that waits, on the running event loop; ``clock`` gives the seconds that deadlines are told in."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[_Work] = deque()
        self._is_scheduled = False

    def add(
        self,
        steps: Steps[T],
        owner: Owner,
        deadline_s: float,
        done: Callable[[T | Exception, float, float], None],
        *,
        first: bool = False,
    ) -> None:
        """Do ``steps``, and call ``done`` with their result or the error, the seconds they took, and those they waited.

        It is not called once the ``owner`` is cancelled. Where the deadline passes before they are done, the error is
        `DeadlineExceeded`. ``first`` puts them before all others.
        """
        work = _Work(steps, owner, deadline_s, done, self._clock())
        if first:
            self._waiting.appendleft(work)
        else:
            self._waiting.append(work)
        self._schedule()

    def close(self) -> None:
        """What still waits is told so, and not done."""
        error = NotReady("the server stopped before this request had its turn; try again", _RESTART_S)
        while self._waiting:
            self._end(self._waiting.popleft(), error)

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        if self._waiting:
            work = self._waiting.popleft()
            started_s = self._clock()
            result = self._slice(work, started_s)
            work.spent_s += self._clock() - started_s
            if result is None:
                self._waiting.appendleft(work)
            else:
                self._end(work, result[0])
            self._schedule()

    def _slice(self, work: _Work, started_s: float) -> tuple[Any] | None:
        """What the work came to, or None where there is more of it."""
        if work.owner.cancelled:
            return (None,)
        if started_s > work.deadline_s:
            waited_s = started_s - work.added_s
            return (
                DeadlineExceeded(f"the time for this request ran out after {waited_s:.3g} s; allow more, or retry"),
            )
        try:
            while self._clock() - started_s < SLICE_S:
                next(work.steps)
        except StopIteration as end:
            return (end.value,)
        except Exception as error:  # noqa: BLE001 - whatever it was, its owner is told, and the next ones are done
            return (error,)
        return None

    def _end(self, work: _Work, result: Any) -> None:
        work.steps.close()
        if not work.owner.cancelled:
            waited_s = self._clock() - work.added_s - work.spent_s
            try:
                work.done(result, work.spent_s, waited_s)
            except Exception:  # noqa: BLE001 - the others are done
                _log.exception("what a piece of work came to could not be told")
