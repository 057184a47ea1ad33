"""Text on its way out of the process: a bounded queue, and a thread that writes what is in it."""

from __future__ import annotations

import io
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Final

# What may wait for a reader that pauses: several seconds of a busy server's lines.
_MAX_WAITING_BYTES: Final = 4 * 1024**2
# How long a process that ends waits for its last lines to be read.
LAST_LINES_S: Final = 1.0


class LogWriter:
    """Takes text from any thread, never waits for its reader, and writes it in order from a thread of its own.

    A stream may stop to take what is written: a pipe that nobody reads, a terminal that is held, a full disk. What
    comes while ``max_waiting_bytes`` wait is dropped, and so is what the stream refuses; ``on_drop`` is told how many
    lines, and once there is room again a line of ``notice`` tells the reader, in the place where they are missing.

    Where the stream is ``shared`` with other processes, their lines stay whole: pipe(7) says that a write of up to
    `PIPE_BUF` bytes is not mixed with another's. After a fork the child has an empty queue, and a thread of its own.
    """

    def __init__(self, descriptor: int, max_waiting_bytes: int = _MAX_WAITING_BYTES) -> None:
        self.descriptor = descriptor
        self.notice: Callable[[int], bytes] = _notice
        self.shared = True
        self._max_waiting_bytes = max_waiting_bytes
        self._count: Callable[[int], None] | None = None
        self._reset()

    def on_drop(self, count: Callable[[int], None]) -> None:
        """Tell ``count`` of each number of lines that is dropped, and now of those that were."""
        self._own()
        self._count = count
        count(self._dropped)

    @property
    def full(self) -> bool:
        """Whether what is put now is dropped: for who would rather not make it then."""
        return self._waiting_bytes >= self._max_waiting_bytes and self._process == os.getpid()

    def put(self, text: bytes) -> None:
        """Queue ``text``, which is one line or several, or drop it."""
        self._own()
        lines = 0
        with self._changed:
            if self.full:
                lines = text.count(b"\n")
                self._gap += lines
            else:
                self._texts.append(text)
                self._waiting_bytes += len(text)
                self._changed.notify_all()
            if self._thread is None:
                self._start()
        if lines:
            self._lost(lines)

    def drop(self, lines: int) -> None:
        """Leave out lines for which there is no room."""
        self._own()
        with self._changed:
            self._gap += lines
        self._lost(lines)

    def flush(self, timeout_s: float) -> None:
        """Wait until all is written that was put, and no longer than ``timeout_s``: its reader may never come."""
        self._own()
        with self._changed:
            self._changed.wait_for(lambda: not self._texts and not self._writing, timeout_s)

    def _lost(self, lines: int) -> None:
        self._dropped += lines
        if self._count is not None:
            self._count(lines)

    def _own(self) -> None:
        """In a forked process, begin anew: its parent's queue, lock and thread are not its own."""
        if self._process != os.getpid():
            self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._texts: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0  # all of them, and
        self._gap = 0  # those that the reader is to be told of after what is queued
        self._writing = False
        self._torn = False
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads are allowed: what is queued waits for a later try
            return
        self._thread = thread

    def _run(self) -> None:
        missing = 0  # lines that the stream refused and its reader was not told of
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._texts)
                texts, self._texts = self._texts, []
                self._waiting_bytes = 0
                gap, self._gap = self._gap, 0
                self._writing = True
            missing = self._tell(missing)
            for piece in _pieces(b"".join(texts), self._longest_write()):
                refused = self._write(piece)
                if refused:
                    self._lost(refused)
                    missing += refused
            missing = self._tell(missing + gap)

    def _tell(self, missing: int) -> int:
        """Tell the reader of missing lines; how many it still has to be told of."""
        return missing if missing and self._write(self.notice(missing)) else 0

    def _longest_write(self) -> int | None:
        """None where one write is never mixed with another's, however long: to a regular file, see write(2)."""
        if not self.shared:
            return None
        try:
            is_file = stat.S_ISREG(os.fstat(self.descriptor).st_mode)
        except OSError:
            is_file = False
        return None if is_file else select.PIPE_BUF

    def _write(self, piece: bytes) -> int:
        """Write whole lines; how many of them the stream refused."""
        left = memoryview(b"\n" + piece if self._torn else piece)
        size = len(left)
        try:
            while left:
                try:
                    left = left[os.write(self.descriptor, left) :]
                except BlockingIOError:  # another process that has the stream made it so
                    waiting = select.poll()
                    waiting.register(self.descriptor, select.POLLOUT)
                    waiting.poll()
        except OSError:
            self._torn |= len(left) < size  # it ends within a line: the next one shall not go on there
            return piece[len(piece) - len(left) :].count(b"\n") if len(left) <= len(piece) else piece.count(b"\n")
        self._torn = False
        return 0


class LogStream(io.TextIOBase):
    """What a library prints to stderr, on its way to a `LogWriter`: nothing in the process waits for the reader."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def write(self, text: str, /) -> int:
        """Queue ``text``."""
        self._writer.put(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """For who writes to the stream itself, such as a handler of a crash."""
        return self._writer.descriptor


def _pieces(text: bytes, longest: int | None) -> Iterator[bytes]:
    """``text`` in whole lines, as many as ``longest`` bytes hold; a longer line is a piece of its own."""
    start = 0
    while longest is not None and len(text) - start > longest:
        end = text.rfind(b"\n", start, start + longest) + 1 or text.find(b"\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _notice(lines: int) -> bytes:
    return b"%d line(s) of this log were dropped\n" % lines
