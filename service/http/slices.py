"""Runs work that takes long a slice per turn of the event loop, so that other requests are answered in between.

Pieces of work run one after the other, so that what one holds while it runs is held once. Answers on their way out go
first. What would block the loop runs in a thread meanwhile: one for small requests and one for large ones, so that a
small one does not wait for a large one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

from service.errors import DeadlineExceeded, NotReady
from service.inference.steps import InThread, Steps, T

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
    is_large: bool
    spent_s: float = 0.0
    sent: Any = None  # the result of its thread


class Slices:
    """The queue of work on the running event loop. ``clock`` gives seconds; deadlines are on the same clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: deque[_Work] = deque()
        self._in_thread: set[_Work] = set()
        self._threads = {is_large: ThreadPoolExecutor(1, "decode") for is_large in (False, True)}
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
        is_large: bool = False,
    ) -> None:
        """Queue ``steps``; ``done`` gets their result or error, the seconds they took, and the seconds they waited.

        It is not called if the ``owner`` is cancelled. If the deadline passes first, the error is `DeadlineExceeded`.
        ``size_bytes`` is the measure of work that others wait for. ``first`` puts the work at the head of the queue.
        ``is_large`` is the thread it takes, if it needs one.
        """
        now_s = self._clock()
        if self.idle():
            self._began_s = now_s
        self._waiting_bytes += size_bytes
        work = _Work(steps, owner, deadline_s, done, size_bytes, now_s, is_large)
        if first:
            self._waiting.appendleft(work)
        else:
            self._waiting.append(work)
        self._schedule()

    def wait_s(self) -> float:
        """Seconds that work added now would wait, by the time that a byte takes at present."""
        return self._waiting_bytes * self._ended_s / self._ended_bytes if self._ended_bytes else 0.0

    def idle(self) -> bool:
        """Whether nothing waits, and nothing is in a thread."""
        return not self._waiting and not self._in_thread

    def close(self) -> None:
        """End all work with `NotReady`; a thread stops after its step."""
        error = NotReady("the server stopped before this request had its turn; try again", _RESTART_S)
        unfinished = [*self._waiting, *self._in_thread]
        self._waiting.clear()
        self._in_thread.clear()
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)
        for work in unfinished:
            self._end(work, error)

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        if self._waiting:
            self._advance(self._waiting.popleft())
            self._schedule()

    def _advance(self, work: _Work) -> None:
        started_s = self._clock()
        result = self._slice(work, started_s)
        work.spent_s += self._clock() - started_s
        if result is None:
            self._waiting.appendleft(work)
        elif isinstance(result, InThread):
            self._start_thread(work, result)
        else:
            self._end(work, result[0])

    def _slice(self, work: _Work, started_s: float) -> tuple[Any] | InThread | None:
        """The result or error of the work, what it needs a thread for, or None if it goes on."""
        if work.owner.cancelled:
            return (None,)
        if started_s > work.deadline_s:
            waited_s = started_s - work.added_s
            return (
                DeadlineExceeded(f"the time for this request ran out after {waited_s:.3g} s; allow more, or retry"),
            )
        try:
            while self._clock() - started_s < SLICE_S:
                sent, work.sent = work.sent, None
                paused_for: InThread | None = work.steps.send(sent)
                if paused_for is not None:
                    return paused_for
        except StopIteration as end:
            return (end.value,)
        except Exception as error:  # noqa: BLE001 - `done` gets it, and the next work runs
            return (error,)
        return None

    def _start_thread(self, work: _Work, needed: InThread) -> None:
        loop = asyncio.get_running_loop()

        def run() -> None:
            started_s = self._clock()
            result = self._threaded(work, needed.steps)
            work.spent_s += self._clock() - started_s
            with contextlib.suppress(RuntimeError):  # the loop is closed: the work has ended with `NotReady`
                loop.call_soon_threadsafe(self._resume, work, result)

        self._in_thread.add(work)
        try:
            self._threads[work.is_large].submit(run)
        except RuntimeError:  # shut down
            self._in_thread.discard(work)
            self._end(work, NotReady("the server is stopping; try again", _RESTART_S))

    def _threaded(self, work: _Work, steps: Steps[Any]) -> Any:
        """The result or error of steps in a thread. They end early if nobody waits for the result any more."""
        try:
            while not work.owner.cancelled and self._clock() <= work.deadline_s and work in self._in_thread:
                next(steps)
        except StopIteration as end:
            return end.value
        except Exception as error:  # noqa: BLE001 - `done` gets it
            return error
        steps.close()
        return None

    def _resume(self, work: _Work, result: Any) -> None:
        if work not in self._in_thread:  # `close` has ended it
            return
        self._in_thread.discard(work)
        if isinstance(result, Exception):
            self._end(work, result)
        else:
            work.sent = result
            self._advance(work)
        self._schedule()

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
