"""Write text to a stream without blocking: a bounded queue, and a thread that writes it."""

from __future__ import annotations

import io
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Final

# The queue for a reader that pauses: several seconds of a busy server's lines.
_MAX_QUEUED_BYTES: Final = 4 * 1024**2
# How long an ending process waits for its last lines to be written.
LAST_LINES_S: Final = 1.0


class LogWriter:
    """Takes text from any thread and writes it in order from its own thread. The callers never block.

    A stream may block: a pipe that nobody reads, a paused terminal, a full disk. Text is dropped while
    ``max_queued_bytes`` are queued, and when the stream refuses it. `on_drop` registers a counter of dropped lines, and
    once there is space again, a line from ``notice`` is written where they are missing.

    If the stream is ``shared`` with other processes, lines are not mixed: pipe(7) guarantees it for writes of up to
    `PIPE_BUF` bytes. After a fork the child starts with an empty queue and its own thread.
    """

    def __init__(self, descriptor: int, max_queued_bytes: int = _MAX_QUEUED_BYTES) -> None:
        self.descriptor = descriptor
        self.notice: Callable[[int], bytes] = _notice
        self.shared = True
        self._max_queued_bytes = max_queued_bytes
        self._count_dropped: Callable[[int], None] | None = None
        self._reset()

    def on_drop(self, count: Callable[[int], None]) -> None:
        """Call ``count`` with the number of lines dropped so far, and with each later number."""
        self._check_process()
        self._count_dropped = count
        count(self._dropped)

    @property
    def full(self) -> bool:
        """Whether text is dropped at the moment, so that a caller need not format it."""
        return self._queued_bytes >= self._max_queued_bytes and self._process == os.getpid()

    def put(self, text: bytes) -> None:
        """Queue ``text``, one or more lines, or drop it."""
        self._check_process()
        lines = 0
        with self._changed:
            if self.full:
                lines = text.count(b"\n")
                self._gap += lines
            else:
                self._texts.append(text)
                self._queued_bytes += len(text)
                self._changed.notify_all()
            if self._thread is None:
                self._start()
        if lines:
            self._report_dropped(lines)

    def drop(self, lines: int) -> None:
        """Count lines as dropped that the caller did not format."""
        self._check_process()
        with self._changed:
            self._gap += lines
        self._report_dropped(lines)

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is written, at most ``timeout_s``: the reader may never read."""
        self._check_process()
        with self._changed:
            self._changed.wait_for(lambda: not self._texts and not self._writing, timeout_s)

    def _report_dropped(self, lines: int) -> None:
        self._dropped += lines
        if self._count_dropped is not None:
            self._count_dropped(lines)

    def _check_process(self) -> None:
        """Start anew in a forked process, which must not use its parent's queue, lock and thread."""
        if self._process != os.getpid():
            self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._texts: list[bytes] = []
        self._queued_bytes = 0
        self._dropped = 0  # lines in total
        self._gap = 0  # lines missing after what is queued
        self._writing = False
        self._torn = False
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the limit of threads is reached; the next put tries again
            return
        self._thread = thread

    def _run(self) -> None:
        missing = 0  # lines that the stream refused, without a notice so far
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._texts)
                texts, self._texts = self._texts, []
                self._queued_bytes = 0
                gap, self._gap = self._gap, 0
                self._writing = True
            missing = self._write_notice(missing)
            for piece in _pieces(b"".join(texts), self._longest_write()):
                refused = self._write(piece)
                if refused:
                    self._report_dropped(refused)
                    missing += refused
            missing = self._write_notice(missing + gap)

    def _write_notice(self, missing: int) -> int:
        """Write a notice of missing lines. Returns how many are still without one."""
        return missing if missing and self._write(self.notice(missing)) else 0

    def _longest_write(self) -> int | None:
        """The longest write in bytes; None for no limit, as to a regular file, where write(2) never mixes writes."""
        if not self.shared:
            return None
        try:
            is_file = stat.S_ISREG(os.fstat(self.descriptor).st_mode)
        except OSError:
            is_file = False
        return None if is_file else select.PIPE_BUF

    def _write(self, piece: bytes) -> int:
        """Write whole lines. Returns how many of them the stream refused."""
        left = memoryview(b"\n" + piece if self._torn else piece)
        size = len(left)
        try:
            while left:
                try:
                    left = left[os.write(self.descriptor, left) :]
                except BlockingIOError:  # another process made the stream non-blocking
                    waiting = select.poll()
                    waiting.register(self.descriptor, select.POLLOUT)
                    waiting.poll()
        except OSError:
            self._torn |= len(left) < size  # it ends within a line; the next write must start a new one
            return piece[len(piece) - len(left) :].count(b"\n") if len(left) <= len(piece) else piece.count(b"\n")
        self._torn = False
        return 0


class LogStream(io.TextIOBase):
    """A replacement for stderr that writes to a `LogWriter`, so that libraries do not block either."""

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
        """The stream's descriptor, for those that write to it directly, such as faulthandler."""
        return self._writer.descriptor


def _pieces(text: bytes, longest: int | None) -> Iterator[bytes]:
    """Split ``text`` into pieces of whole lines, of up to ``longest`` bytes or one longer line."""
    start = 0
    while longest is not None and len(text) - start > longest:
        end = text.rfind(b"\n", start, start + longest) + 1 or text.find(b"\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _notice(lines: int) -> bytes:
    return b"%d line(s) of this log were dropped\n" % lines
