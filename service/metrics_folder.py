"""The folder for the workers' metrics: made at start, removed at the end, with those of servers that were killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.errors import StartError

_PREFIX: Final = "mlp-serving-metrics-"
# What metrics.worker makes there, and all that is removed without knowing whose it was.
_FILES: Final = (".db", ".new")


@contextmanager
def held() -> Iterator[Path]:
    """A new folder in the one for temporary files, locked as long as this process or a child of it lives.

    The lock, flock(2) on the folder itself, tells the next server which folders nobody uses any more, whatever their
    processes were called, and systemd-tmpfiles(8) to leave this one alone. Raises `StartError` where there is no room.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _remove_left_over(parent)
        folder, lock = _make(parent)
    except OSError as error:
        raise StartError(
            f"no folder can be made for the workers' metrics: {error.strerror or error}; "
            "set TMPDIR to a folder with room, such as a memory volume"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """The folder, and the open file that holds its lock, or none where its file system has no locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another server found it before it was locked, and removes it
            os.close(lock)
            continue
        except OSError:
            return folder, lock
        if folder.exists():  # or it was removed meanwhile
            return folder, lock
        os.close(lock)


def _remove_left_over(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, in use, or not what its name says
            _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid == os.geteuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in os.listdir(opened):  # noqa: PTH208 - in the folder that is locked, whatever its path leads to now
                if name.endswith(_FILES):
                    os.unlink(name, dir_fd=opened)
            folder.rmdir()
    finally:
        os.close(opened)
