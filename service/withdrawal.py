"""Withdraw, restore and delete published versions on disk, each in one rename.

A withdrawn version is hidden as ``.withdrawn-<version>``, a version that is being deleted as ``.deleting-<version>``. A
kill or a power failure leaves each version wholly in one state. No number is used twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.artifact import withdrawn_dir
from service.artifact_writer import keep_number, sync
from service.manifest import WITHDRAWN_PREFIX, ArtifactError

_DELETING_PREFIX: Final = ".deleting-"
_LOCK: Final = ".lock"
_BUSY: Final = frozenset({errno.EAGAIN, errno.EACCES})
# Some network file systems have no locks. A rename is atomic there, too.
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def locked(model_dir: Path) -> Iterator[None]:
    """Keep other processes from changing the versions in ``model_dir`` with this module. Publishing needs no lock.

    Raises `ArtifactError` if another process holds the lock, or the folder cannot be written.
    """
    with _explained(model_dir):
        descriptor = os.open(model_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        with _explained(model_dir):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _BUSY:
                    raise ArtifactError(
                        f"another command is changing the versions of {model_dir.name}; wait for it to end, and try "
                        "again"
                    ) from error
                if error.errno not in _NO_LOCKS:
                    raise
        yield
    finally:
        os.close(descriptor)


def withdraw(model_dir: Path, version: int) -> Path:
    """Hide a version from servers. Returns its new folder. Raises `ArtifactError`."""
    hidden = withdrawn_dir(model_dir, version)
    with _explained(model_dir):
        keep_number(model_dir)
        _move(model_dir / str(version), hidden)
    return hidden


def restore(model_dir: Path, version: int) -> Path:
    """Undo `withdraw`. Returns the version's folder. Raises `ArtifactError`."""
    folder = model_dir / str(version)
    with _explained(model_dir):
        _move(withdrawn_dir(model_dir, version), folder)
    return folder


def delete(folder: Path) -> None:
    """Delete a version, withdrawn or not: ``folder`` disappears at once, then its files are removed.

    If ``folder`` is a link, only the link is removed. Raises `ArtifactError`.
    """
    model_dir = folder.parent
    hidden = model_dir / f"{_DELETING_PREFIX}{folder.name.removeprefix(WITHDRAWN_PREFIX)}"
    with _explained(model_dir):
        keep_number(model_dir)
        _remove(hidden)
        _move(folder, hidden)
        _remove(hidden)


def remove_leftovers(model_dir: Path) -> None:
    """Finish deletions that were interrupted. Raises `ArtifactError`."""
    with _explained(model_dir):
        for hidden in model_dir.glob(f"{_DELETING_PREFIX}*"):
            _remove(hidden)


def _move(folder: Path, target: Path) -> None:
    if os.path.lexists(target):  # an empty folder or a link would be replaced
        raise ArtifactError(f"{target} exists already; move it out of the models folder")
    folder.rename(target)
    sync(target.parent)


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _explained(model_dir: Path) -> Iterator[None]:
    """Turn an `OSError` into an `ArtifactError` with the way out."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{error.filename} is gone: another process moved or deleted it; see: mlp-models list"
        ) from error
    except OSError as error:
        raise ArtifactError(
            f"{model_dir} cannot be changed: {error.strerror}; run this where the models folder can be written, as a "
            "user who may write there"
        ) from error
