"""Puts a version into the models folder: its files in a hidden folder first, which is then renamed.

A kill or a power failure leaves at most hidden folders, which no server reads and the next pull removes:

    models/.pulling-<random>/<name>/<version>/   a version that is being copied
    models/<name>/.replaced-<version>            the older files of a version that the source changed
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from service.artifact import MANIFEST, VERSION, max_bytes
from service.artifact_writer import sync
from service.manifest import ArtifactError, Manifest
from service.models import table
from service.models.pulling.remote_version import RemoteVersion
from service.models.pulling.retries import Retries, WriteFault

_STAGING: Final = ".pulling-"
_REPLACED: Final = ".replaced-"

Progress = Callable[[int], object]


class NotWritable(ArtifactError):
    """The models folder cannot be written."""


def land(
    remote: RemoteVersion, manifest: Manifest, content: bytes, models: Path, retries: Retries, progress: Progress
) -> int:
    """Copy a version whose ``manifest`` was read from ``content``, and return the number of bytes.

    It replaces other files of that version. ``progress`` is called with the bytes of each chunk. Raises `NotWritable`,
    and as `Retries`; then nothing is left.
    """
    with _explained(models), _staging(models) as staging:
        _check_space(models, sum(remote.files[name].size_bytes for name in manifest.files))
        folder = staging / remote.name / str(remote.version)
        folder.mkdir(parents=True)
        sizes = [
            _copy(remote, name, digest, folder / name, retries, progress) for name, digest in manifest.files.items()
        ]
        _write(folder / MANIFEST, content)
        sync(folder)
        sync(folder.parent)
        _appear(folder, models / remote.name)
    return sum(sizes) + len(content)


def is_there(version_dir: Path, manifest: Manifest, content: bytes) -> bool:
    """Whether the folder has this manifest, and every file of it unchanged."""
    try:
        if (version_dir / MANIFEST).read_bytes() != content:
            return False
        return all(_digest(version_dir / name, max_bytes(name)) == each for name, each in manifest.files.items())
    except OSError:
        return False


def clean(models: Path) -> None:
    """Remove what a killed pull left in the folder, and bring back what it was replacing. Raises `NotWritable`."""
    with _explained(models):
        for folder in models.glob(f"{_STAGING}*"):
            shutil.rmtree(folder)
        for replaced in models.glob(f"*/{_REPLACED}*"):
            version = replaced.name.removeprefix(_REPLACED)
            if VERSION.fullmatch(version) and not os.path.lexists(replaced.with_name(version)):
                replaced.rename(replaced.with_name(version))
            else:
                shutil.rmtree(replaced)


def _check_space(models: Path, size_bytes: int) -> None:
    """Before anything is copied: `--sync` would do so again and again."""
    if (free_bytes := shutil.disk_usage(models).free) < size_bytes:
        raise NotWritable(
            f"{models} has {table.size_text(free_bytes)} free, and {table.size_text(size_bytes)} are needed; free some "
            "space"
        )


@contextmanager
def _staging(models: Path) -> Iterator[Path]:
    staging = models / f"{_STAGING}{uuid.uuid4().hex}"
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy(remote: RemoteVersion, name: str, digest: str, path: Path, retries: Retries, progress: Progress) -> int:
    def attempt() -> int:
        with _local(path) as target:
            return remote.copy(name, digest, target, progress)

    return retries(attempt, f"{remote.shown}/{name}")


@contextmanager
def _local(path: Path) -> Iterator[IO[bytes]]:
    """A file that is written to disk when it is closed. Raises `WriteFault`, to tell it from an error of the source."""
    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise WriteFault from error
    with file:
        yield file
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise WriteFault from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _appear(folder: Path, model_dir: Path) -> None:
    """Rename ``folder`` into the model's folder; the first version comes with that folder, which is never empty."""
    if not model_dir.exists():
        folder.parent.rename(model_dir)
        sync(model_dir.parent)
        return
    target, replaced = model_dir / folder.name, model_dir / f"{_REPLACED}{folder.name}"
    if os.path.lexists(target):
        target.rename(replaced)
    folder.rename(target)
    sync(model_dir)
    if replaced.is_symlink():
        replaced.unlink()
    else:
        shutil.rmtree(replaced, ignore_errors=True)


def _digest(path: Path, limit: int) -> str | None:
    if not path.is_file() or path.stat().st_size > limit:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explained(models: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, WriteFault) as error:
        cause = error.__cause__ if isinstance(error, WriteFault) else error
        raise NotWritable(
            f"{models} cannot be written: {getattr(cause, 'strerror', cause)}; free some space, or allow writing there"
        ) from error
