"""A folder of files with whole lines: rotated by size and age, bounded in all, shared by several processes."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_PREFIX: Final = "payloads-"
_SUFFIX: Final = ".jsonl"
# Of a file that is being written.
_PART: Final = ".jsonl.part"
_LOCK: Final = ".lock"
_MOST_FILE_BYTES: Final = 64 * 1024**2
# So many files make up the bound, so that little is removed at once.
_FILES: Final = 16
_MAX_AGE_S: Final = 3600.0
_MODE: Final = 0o600
_TAIL_BYTES: Final = 64 * 1024


class PayloadFiles:
    """Appends lines to a file of ``folder`` that only this process writes, and begins a new one when it is full or old.

    A file ends in ``.jsonl.part`` while it is written, and in ``.jsonl`` after that. All of the folder take at most
    ``max_bytes``; before a new one is begun, the oldest are removed. What a killed process left is completed, without
    the line that it may have broken off. ``clock`` gives seconds. Raises `OSError` if the folder cannot be used.
    """

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._file_bytes = min(_MOST_FILE_BYTES, max_bytes // _FILES)
        self._descriptor: int | None = None
        self._path = folder
        self._size_bytes = 0
        self._began_s = 0.0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            self._recover()

    def write(self, text: bytes) -> None:
        """Append whole lines. If the disk is full, nothing of them stays. Raises `OSError`."""
        if self._descriptor is not None and self._size_bytes + len(text) > self._file_bytes:
            self.rotate()
        if self._descriptor is None:
            self._open(len(text))
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101 - it was opened
        left = memoryview(text)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            os.ftruncate(descriptor, self._size_bytes)
            raise
        self._size_bytes += len(text)

    def rotate_if_old(self) -> None:
        """Complete the file if it was begun an hour ago."""
        if self._descriptor is not None and self._clock() - self._began_s > _MAX_AGE_S:
            self.rotate()

    def rotate(self) -> None:
        """Complete the file."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            _complete(self._path)
        finally:
            os.close(descriptor)  # and with it the lock, which says that it is being written

    def _open(self, size_bytes: int) -> None:
        with self._locked():
            self._make_room(max(size_bytes, self._file_bytes))
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            self._path = self._folder / f"{_PREFIX}{stamp}-{os.getpid()}{_PART}"
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, _MODE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._descriptor, self._size_bytes, self._began_s = descriptor, 0, self._clock()

    def _make_room(self, size_bytes: int) -> None:
        """Remove the oldest files until one of ``size_bytes`` fits. Raises `OSError` if others are being written."""
        self._recover()
        complete = sorted(self._folder.glob(f"{_PREFIX}*{_SUFFIX}"))
        sizes = {path: path.stat().st_size for path in complete}
        written = len(list(self._folder.glob(f"{_PREFIX}*{_PART}"))) * self._file_bytes
        used_bytes = written + sum(sizes.values())
        for path in complete:
            if used_bytes + size_bytes <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            used_bytes -= sizes[path]
        if used_bytes + size_bytes > self._max_bytes:
            raise OSError(errno.EDQUOT, f"the files of other workers take all of {self._max_bytes} bytes")

    def _recover(self) -> None:
        """Complete the files of processes that ended without doing it."""
        for path in self._folder.glob(f"{_PREFIX}*{_PART}"):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, _end_of_last_line(descriptor))
                _complete(path)
            except BlockingIOError:  # it is being written
                continue
            finally:
                os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the folder: while a file appears, or is looked for."""
        descriptor = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _complete(path: Path) -> None:
    if path.stat().st_size:
        path.rename(path.with_suffix(""))
    else:
        path.unlink()


def _end_of_last_line(descriptor: int) -> int:
    """The position after the last line break of a file; 0 if it has none."""
    end = os.fstat(descriptor).st_size
    while end:
        first = max(end - _TAIL_BYTES, 0)
        place = os.pread(descriptor, end - first, first).rfind(b"\n")
        if place >= 0:
            return first + place + 1
        end = first
    return 0
