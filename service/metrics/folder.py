"""The temporary folder for the workers' metrics. Folders of killed servers are removed, too."""

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
# The files that `files` and `shared_counts` write. Nothing else is removed from the folder of another server.
_FILES: Final = (".db", ".json", ".new")


@contextmanager
def locked() -> Iterator[Path]:
    """A new folder among the temporary files, locked while this process or a child of it lives.

    The lock is flock(2) on the folder itself. It tells other servers and systemd-tmpfiles(8) that the folder is in use.
    Raises `StartError` if the folder cannot be made.
    """
    try:
        remove_unused_folders()
        folder, lock = _make(Path(tempfile.gettempdir()))
    except OSError as error:
        raise StartError(
            f"cannot create a folder for the workers' metrics: {error.strerror or error}; "
            "set TMPDIR to a folder with space, such as a memory volume"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """The folder, and the descriptor that holds its lock. A file system without locks gives none."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another server found it before it was locked and is removing it
            os.close(lock)
            continue
        except OSError:
            return folder, lock
        if folder.exists():  # and was not removed meanwhile
            return folder, lock
        os.close(lock)


def remove_unused_folders() -> None:
    """Remove the folders of servers that were killed. A server of one process needs none, and calls this at start."""
    try:
        parent = Path(tempfile.gettempdir())
    except OSError:  # there is no folder for temporary files
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, in use, or not what its name says
            _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid == os.geteuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in os.listdir(opened):  # noqa: PTH208 - the locked folder, wherever its path leads now
                if name.endswith(_FILES):
                    os.unlink(name, dir_fd=opened)
            folder.rmdir()
    finally:
        os.close(opened)
