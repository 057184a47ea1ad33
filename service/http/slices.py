"""Runs work that takes long a slice per turn of the event loop, so that other requests are answered in between.

Pieces of work run one after the other, so that what one holds while it runs is held once. Answers on their way out go
first.
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
# What each piece of work leaves of the weight of those before it in the measured speed.
_DECAY: Final = 0.8
_RESTART_S: Final = 1.0


class Owner(Protocol):
    """The request that work is done for."""

    cancelled: bool


@dataclass(slots=True, eq=False)
class _Work:
    steps: Steps[Any]
    owner: Owner
    deadline_s: float
    done: Callable[[Any, float, float], None]
    size_bytes: int
    added_s: float
    spent_s: float = 0.0


class Slices:
    """The queue of work on the running event loop. ``clock`` gives seconds; deadlines are on the same clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[_Work] = deque()
        self._is_scheduled = False
        # Of the work that was done: bytes, and seconds since the piece before it, with all that ran in between.
        self._ended_bytes = self._ended_s = 0.0
        self._waiting_bytes = 0
        self._began_s = 0.0

    def add(
        self,
        steps: Steps[T],
        owner: Owner,
        deadline_s: float,
        done: Callable[[T | Exception, float, float], None],
        *,
        size_bytes: int = 0,
        first: bool = False,
    ) -> None:
        """Queue ``steps``; ``done`` gets their result or error, the seconds they took, and the seconds they waited.

        It is not called if the ``owner`` is cancelled. If the deadline passes first, the error is `DeadlineExceeded`.
        ``size_bytes`` is the measure of work that others wait for. ``first`` puts the work at the head of the queue.
        """
        now_s = self._clock()
        if not self._waiting:
            self._began_s = now_s
        self._waiting_bytes += size_bytes
        work = _Work(steps, owner, deadline_s, done, size_bytes, now_s)
        if first:
            self._waiting.appendleft(work)
        else:
            self._waiting.append(work)
        self._schedule()

    def wait_s(self) -> float:
        """Seconds that work added now would wait, by the time that a byte takes at present."""
        return self._waiting_bytes * self._ended_s / self._ended_bytes if self._ended_bytes else 0.0

    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def close(self) -> None:
        """End all work that waits with `NotReady`."""
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
        """The result or error of the work, or None if it goes on."""
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
        except Exception as error:  # noqa: BLE001 - `done` gets it, and the next work runs
            return (error,)
        return None

    def _end(self, work: _Work, result: Any) -> None:
        work.steps.close()
        now_s = self._clock()
        self._waiting_bytes -= work.size_bytes
        if work.size_bytes and not work.owner.cancelled and not isinstance(result, Exception):
            self._ended_bytes = _DECAY * self._ended_bytes + work.size_bytes
            self._ended_s = _DECAY * self._ended_s + now_s - self._began_s
        self._began_s = now_s
        if not work.owner.cancelled:
            waited_s = now_s - work.added_s - work.spent_s
            try:
                work.done(result, work.spent_s, waited_s)
            except Exception:  # noqa: BLE001 - the next work runs
                _log.exception("the result of sliced work could not be delivered")
