"""The health of a server, as any of its workers sees it: what the probes answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from service.heartbeats import HUNG_S, SUPERVISOR, Heartbeats
from service.lifecycle import State

_log = logging.getLogger(__name__)

# After this, neither the supervisor nor a worker that it should have replaced will come back without help.
LOST_S: Final = 20.0
_STUCK: Final = "a run of the network does not end"


class Health:
    """Sends the heartbeats of worker ``index``, and judges those of all others.

    Without ``heartbeats`` the worker is the only one, and nobody judges it.
    """

    def __init__(self, heartbeats: Heartbeats | None = None, index: int = 0) -> None:
        self._heartbeats = heartbeats or Heartbeats(1)
        self._index = index
        self._is_stuck = False
        self._others = [other for other in self._heartbeats.workers if other != index]

    def changed(self, state: State) -> None:
        """Note a new state of this worker."""
        self._heartbeats.enter(self._index, state)

    @contextmanager
    def beating(self, is_stuck: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Send heartbeats from the running event loop, unless the worker ``is_stuck`` in a thread."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def beat() -> None:
            nonlocal timer
            was_stuck, self._is_stuck = self._is_stuck, is_stuck()
            if not self._is_stuck:
                self._heartbeats.beat(self._index)
            elif not was_stuck:
                _log.error("%s; this process counts as hung from now on", _STUCK)
            timer = loop.call_later(self._heartbeats.interval_s, beat)

        beat()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    def unready(self) -> str | None:
        """Why a request to any worker might hang, or None. Nothing connects to a worker that has died."""
        if self._is_stuck:
            return _STUCK
        for other in self._others:
            if self._heartbeats.state(other) is State.READY and not self._heartbeats.responds(other):
                late_s = self._heartbeats.age_s(other)
                return f"worker {other} has not responded for {late_s:.1f} s; after {HUNG_S:g} s it is replaced"
        return None

    def lost(self) -> str | None:
        """Why the server cannot mend itself, or None."""
        if self._is_stuck and not self._others:
            return _STUCK
        if self._heartbeats.state(SUPERVISOR) is not None and self._heartbeats.age_s(SUPERVISOR) > LOST_S:
            return f"the supervisor has not responded for {self._heartbeats.age_s(SUPERVISOR):.1f} s"
        for other in self._others:
            if self._heartbeats.overdue_s(other) > LOST_S - HUNG_S:
                return f"worker {other} hangs and was not replaced within {LOST_S:g} s"
        return None
