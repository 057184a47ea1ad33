"""Several worker processes on one port: start them, replace those that die or hang, stop them all."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from typing import Final

from service.heartbeats import SUPERVISOR, Heartbeats
from service.lifecycle import State, stop_signals

_log = logging.getLogger(__name__)

# A forked worker has the parent's modules: it starts in the time that checking the models takes.
_FORK: Final = get_context("fork")
_STOP: Final = stop_signals()
_SHORTEST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_STABLE_S: Final = 60.0
_KILL_MARGIN_S: Final = 5.0

Work = Callable[[int], int]


@dataclass(slots=True)
class _Worker:
    process: ForkProcess
    started_s: float
    hung: bool = False


class Backoff:
    """The pause before a dead worker is replaced: none at first, then doubling, up to half a minute.

    It does not matter whether the worker was ready: one that dies after a second would die again. The pause is reset
    for a worker that lived for a minute.
    """

    def __init__(self) -> None:
        self._pause_s = 0.0

    def pause_s(self, lived_s: float) -> float:
        """The pause after a worker that lived for ``lived_s`` seconds."""
        pause_s = 0.0 if lived_s >= _STABLE_S else self._pause_s
        self._pause_s = min(max(2 * pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        return pause_s


class Supervisor:
    """Keeps a process running ``work(index)`` for each worker of ``heartbeats``.

    A worker enters its states there, and sends heartbeats; one that hangs is killed. ``died(index, hung)`` is called
    for a dead worker, which is replaced after the pause of its `Backoff`. If a worker dies before any with its index
    was ready, something it needs is missing, and the server stops. At SIGTERM, SIGINT or SIGHUP all workers are
    terminated, and killed if they take longer than ``stop_timeout_s`` and a margin; ``stopping`` is called before.
    """

    def __init__(
        self,
        heartbeats: Heartbeats,
        work: Work,
        stop_timeout_s: float,
        died: Callable[[int, bool], None],
        stopping: Callable[[], None] = lambda: None,
    ) -> None:
        self._stopping = stopping
        self._heartbeats = heartbeats
        self._work = work
        self._stop_timeout_s = stop_timeout_s
        self._died = died
        self._workers: dict[int, _Worker] = {}
        self._was_ready: set[int] = set()
        self._backoffs = [Backoff() for _ in heartbeats.workers]
        self._restarts: dict[int, float] = {}
        self._alive_read, self._alive_write = os.pipe()
        self._wake_read, self._wake_write = socket.socketpair()

    def run(self) -> int:
        """Run until a stop signal. Returns the exit status."""
        self._wake_write.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno())
        for number in _STOP:
            signal.signal(number, lambda *_: None)  # only replaces the default: the wake-up byte is what counts
        self._heartbeats.enter(SUPERVISOR, State.READY)
        for index in self._heartbeats.workers:
            self._start(index)
        try:
            failed = self._watch()
        finally:
            self._stop()  # in any case, or this process would wait for them for ever
        return 1 if failed else 0

    def _start(self, index: int) -> None:
        self._heartbeats.enter(index, State.STARTING)
        process = _FORK.Process(target=self._in_worker, args=(index,), name=f"worker-{index}")
        # Until the worker has its own handlers it has this process's, which would lose a stop signal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._workers[index] = _Worker(process, time.monotonic())

    def _restart(self, index: int) -> None:
        """Start a new worker. If the machine has no memory or process left for it, the others go on without it."""
        del self._restarts[index]
        try:
            self._start(index)
        except OSError as error:
            pause_s = self._backoffs[index].pause_s(lived_s=0.0)
            _log.error("worker %d cannot be started: %s; trying again in %.1f s", index, error, pause_s)
            self._heartbeats.enter(index, None)
            self._restarts[index] = time.monotonic() + pause_s

    def _in_worker(self, index: int) -> None:
        signal.set_wakeup_fd(-1)
        for number in _STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        os.close(self._alive_write)
        threading.Thread(target=self._follow_parent, daemon=True).start()
        raise SystemExit(self._work(index))

    def _follow_parent(self) -> None:
        os.read(self._alive_read, 1)  # returns when the parent has ended, in any way
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._stop_timeout_s + _KILL_MARGIN_S)
        os.kill(os.getpid(), signal.SIGKILL)  # the main thread hangs

    def _watch(self) -> bool:
        """Replace dead and hung workers until a signal comes. True if one could not start in the first place."""
        while True:
            for index in [index for index, at_s in self._restarts.items() if at_s <= time.monotonic()]:
                self._restart(index)
            next_s = min(self._restarts.values(), default=math.inf) - time.monotonic()
            for source in self._wait(min(next_s, self._heartbeats.interval_s), self._wake_read):
                if source is None:
                    return False
                if not self._replace(source):
                    return True

    def _wait(self, within_s: float, *signals: socket.socket) -> list[int | None]:
        """Kill the workers that hang, and return those that have died. None stands for a signal."""
        by_source: dict[object, int | None] = dict.fromkeys(signals)
        by_source |= {worker.process.sentinel: index for index, worker in self._workers.items()}
        sources = connection.wait([*by_source], max(within_s, 0.0))  # type: ignore[list-item]
        self._heartbeats.beat(SUPERVISOR)
        for index, worker in self._workers.items():
            if self._heartbeats.overdue_s(index) > 0 and not worker.hung:
                self._kill_hung(index, worker)
        return [by_source[source] for source in sources]

    def _kill_hung(self, index: int, worker: _Worker) -> None:
        worker.hung = True
        _log.error(
            "worker %d (process %s) hangs: %s, and no heartbeat for %.1f s; it is killed and replaced",
            *(index, worker.process.pid, self._heartbeats.state(index), self._heartbeats.age_s(index)),
        )
        worker.process.kill()

    def _replace(self, index: int) -> bool:
        """Schedule a new worker for a dead one; False if none with this index was ever ready."""
        worker = self._workers.pop(index)
        worker.process.join()
        if self._heartbeats.state(index) is not State.STARTING:
            self._was_ready.add(index)
        self._heartbeats.enter(index, None)
        if index not in self._was_ready:
            return False
        self._died(index, worker.hung)
        pause_s = self._backoffs[index].pause_s(time.monotonic() - worker.started_s)
        _log.error(
            "worker %d (process %s) ended with exit status %s; a new one starts in %.1f s",
            *(index, worker.process.pid, worker.process.exitcode, pause_s),
        )
        self._restarts[index] = time.monotonic() + pause_s
        return True

    def _stop(self) -> None:
        self._stopping()
        for worker in self._workers.values():
            worker.process.terminate()
        ends_at_s = time.monotonic() + self._stop_timeout_s + _KILL_MARGIN_S
        while self._workers:
            for index in self._wait(self._heartbeats.interval_s):
                assert index is not None  # noqa: S101 - only `_watch` waits for signals
                self._workers.pop(index).process.join()
            if time.monotonic() > ends_at_s:
                for worker in self._workers.values():
                    _log.error("process %s did not stop in time and was killed", worker.process.pid)
                    worker.process.kill()
                    worker.process.join()
                self._workers.clear()
