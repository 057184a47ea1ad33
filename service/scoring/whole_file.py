"""A file that appears complete or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from service.artifact_writer import sync
from service.models.command import CommandError
from service.scoring.places import Place
from service.scoring.remote import RemotePlace

_SYNC_EVERY_S: Final = 0.2


def check(place: Place, *, overwrite: bool) -> None:
    """Raise `CommandError` if ``place`` cannot be written, or is there and may not be replaced."""
    if place.is_folder():
        raise CommandError(f"{place.shown} is a folder, expected the name of a file; add one, such as scored.parquet")
    if place.exists() and not overwrite:
        raise CommandError(f"{place.shown} exists; give another name, or --overwrite")
    if place.local is None:
        return
    folder = place.local.absolute().parent
    if not folder.is_dir():
        raise CommandError(f"the folder {str(folder)!r} of the output does not exist; create it, or give another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"the folder {str(folder)!r} of the output cannot be written; give another")


@contextmanager
def staged(place: Place) -> Iterator[Path]:
    """A path to write to. After the block the file is at ``place``; an exception in it leaves nothing.

    For an object store the file is written on this machine first, and uploaded at the end. Raises `CommandError` if the
    disk is full, or something else is wrong with it.
    """
    staging = _staging(place)
    try:
        with staging.open("wb") as file, _synced(file.fileno()):
            yield staging
        if isinstance(place, RemotePlace):
            place.put(str(staging))
        elif place.local is not None:
            staging.replace(place.local)
            sync(place.local.absolute().parent)
    except OSError as error:
        raise cannot_write(place.shown, error) from error
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


@contextmanager
def _synced(file: int) -> Iterator[None]:
    """Have the disk write an open ``file`` while it grows, so that little is left to wait for after the block."""
    ended = threading.Event()

    def sync_often() -> None:
        while not ended.wait(_SYNC_EVERY_S):
            os.fsync(file)

    with ThreadPoolExecutor(1, "sync") as pool:
        syncing = pool.submit(sync_often)
        try:
            yield
        finally:
            ended.set()
        syncing.result()
    os.fsync(file)


def cannot_write(name: str, error: OSError) -> CommandError:
    """The error for a file that the system does not let us write."""
    remedy = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else "allow writing there"
    reason = os.strerror(error.errno) if error.errno else str(error).partition("\n")[0]
    return CommandError(f"{name} cannot be written: {reason}; {remedy}, or give another place")


def _staging(place: Place) -> Path:
    name = f".{place.below.name}.{uuid.uuid4().hex[:8]}.tmp"
    return Path(tempfile.gettempdir()) / name if place.local is None else place.local.absolute().with_name(name)
