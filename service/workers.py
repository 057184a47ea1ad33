"""Several worker processes on one port: start them, replace those that die, stop them all."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Final

from service.lifecycle import stop_signals

_log = logging.getLogger(__name__)

# A forked worker has the parent's modules: it starts in the time that checking the models takes.
_FORK: Final = get_context("fork")
_STOP: Final = stop_signals()
_READY: Final = b"ready"
_SHORTEST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_STABLE_S: Final = 60.0
_KILL_MARGIN_S: Final = 5.0

Work = Callable[[int, Callable[[], None]], int]


@dataclass(slots=True)
class _Worker:
    process: ForkProcess
    messages: Connection
    started_s: float
    ready: bool = False


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
    """Keeps ``count`` processes running ``work(index, ready)``, which calls ``ready`` once it takes requests.

    A dead worker is reported to ``died`` and replaced after the pause of its `Backoff`. If a worker dies before any
    with its index was ready, something it needs is missing, and the server stops. At SIGTERM, SIGINT or SIGHUP all
    workers are terminated, and killed if they take longer than ``stop_timeout_s`` and a margin.
    """

    def __init__(self, count: int, work: Work, stop_timeout_s: float, died: Callable[[int], None]) -> None:
        self._count = count
        self._work = work
        self._stop_timeout_s = stop_timeout_s
        self._died = died
        self._workers: dict[int, _Worker] = {}
        self._was_ready: set[int] = set()
        self._backoffs = [Backoff() for _ in range(count)]
        self._restarts: dict[int, float] = {}
        self._alive_read, self._alive_write = os.pipe()
        self._wake_read, self._wake_write = socket.socketpair()

    def run(self) -> int:
        """Run until a stop signal. Returns the exit status."""
        self._wake_write.setblocking(False)
        signal.set_wakeup_fd(self._wake_write.fileno())
        for number in _STOP:
            signal.signal(number, lambda *_: None)  # only replaces the default: the wake-up byte is what counts
        for index in range(self._count):
            self._start(index)
        try:
            failed = self._watch()
        finally:
            self._stop()  # in any case, or this process would wait for them for ever
        return 1 if failed else 0

    def _start(self, index: int) -> None:
        receiver, sender = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=self._in_worker, args=(index, sender), name=f"worker-{index}")
        # Until the worker has its own handlers it has this process's, which would lose a stop signal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()
        self._workers[index] = _Worker(process, receiver, time.monotonic())

    def _in_worker(self, index: int, sender: Connection) -> None:
        signal.set_wakeup_fd(-1)
        for number in _STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        os.close(self._alive_write)
        threading.Thread(target=self._follow_parent, daemon=True).start()
        raise SystemExit(self._work(index, lambda: sender.send_bytes(_READY)))

    def _follow_parent(self) -> None:
        os.read(self._alive_read, 1)  # returns when the parent has ended, in any way
        os.kill(os.getpid(), signal.SIGTERM)

    def _watch(self) -> bool:
        """Replace dead workers until a signal comes. True if a worker could not start in the first place."""
        while True:
            for index in [index for index, at_s in self._restarts.items() if at_s <= time.monotonic()]:
                del self._restarts[index]
                self._start(index)
            by_sentinel = {worker.process.sentinel: index for index, worker in self._workers.items()}
            by_messages = {worker.messages: index for index, worker in self._workers.items() if not worker.ready}
            pause_s = max(min(self._restarts.values()) - time.monotonic(), 0.0) if self._restarts else None
            for source in connection.wait([self._wake_read, *by_sentinel, *by_messages], pause_s):
                if source is self._wake_read:
                    return False
                if isinstance(source, Connection):
                    self._read_message(by_messages[source])
                elif isinstance(source, int) and not self._replace(by_sentinel[source]):
                    return True

    def _read_message(self, index: int) -> None:
        """Note that a worker is ready, if it says so; one that has died says nothing."""
        worker = self._workers.get(index)
        if worker is not None and not worker.ready and worker.messages.poll():
            with contextlib.suppress(EOFError, OSError):
                worker.ready = worker.messages.recv_bytes() == _READY
                self._was_ready.add(index)

    def _replace(self, index: int) -> bool:
        """Schedule a new worker for a dead one; False if none with this index was ever ready."""
        self._read_message(index)
        worker = self._workers.pop(index)
        worker.process.join()
        worker.messages.close()
        if index not in self._was_ready:
            return False
        self._died(index)
        pause_s = self._backoffs[index].pause_s(time.monotonic() - worker.started_s)
        _log.error(
            "worker %d (process %s) ended with exit status %s; a new one starts in %.1f s",
            *(index, worker.process.pid, worker.process.exitcode, pause_s),
        )
        self._restarts[index] = time.monotonic() + pause_s
        return True

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        ends_at_s = time.monotonic() + self._stop_timeout_s + _KILL_MARGIN_S
        for worker in self._workers.values():
            worker.process.join(max(ends_at_s - time.monotonic(), 0.0))
            if worker.process.is_alive():
                _log.error("process %s did not stop in time and was killed", worker.process.pid)
                worker.process.kill()
                worker.process.join()
