"""Publish a model: write its next version to disk, completely or not at all. Training uses it, the service does not."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from service.artifact import (
    MANIFEST,
    REQUIRED,
    VERSION,
    check_name,
    max_bytes,
    sha256,
    versions,
    withdrawn_versions,
)
from service.manifest import ArtifactError, Manifest, parse

_MARK_PREFIX: Final = ".last-version-"


def publish(
    models_dir: Path,
    name: str,
    make: Callable[[int], tuple[Manifest, Mapping[str, bytes]]],
    on_commit: Callable[[], None] = lambda: None,
) -> Path:
    """Write the next version of a model, completely or not at all.

    All files are written and synced in a hidden folder, which is then renamed. An error leaves nothing behind; a kill
    or a power failure leaves at most the hidden folder, which is never read and can be removed.

    Parameters
    ----------
    models_dir
        The models folder. It is created if necessary.
    name
        The name of the model.
    make
        Called with a version number, higher than any before. Returns the manifest and the content of every other file.
        The hashes in the manifest are filled in here. It is called again if another process takes the number first.
    on_commit
        Called right before the rename. It can cancel it by raising an exception.

    Returns
    -------
    Path
        The folder of the new version.

    Raises
    ------
    ArtifactError
        The folder cannot be written, or the service would refuse this version.
    """
    model_dir = models_dir / check_name(name)
    while True:
        version = last_number(model_dir) + 1
        if not VERSION.fullmatch(str(version)):
            raise ArtifactError(f"{model_dir} has no version number left; choose another name")
        manifest, files = make(version)
        manifest = replace(manifest, files={file: sha256(content) for file, content in files.items()})
        files = {**files, MANIFEST: manifest.to_json().encode()}
        _check_publishable(manifest, files, model_dir / str(version))
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            _write_version(model_dir, version, files, on_commit)
        except _VersionTakenError:
            continue
        except OSError as error:
            raise ArtifactError(
                f"{model_dir} cannot be written: {error.strerror}; free some space, allow writing there, "
                "or choose another models folder"
            ) from error
        return model_dir / str(version)


def last_number(model_dir: Path) -> int:
    """The highest number that was ever published in ``model_dir`` or is being published; 0 if none."""
    return max([*versions(model_dir), *withdrawn_versions(model_dir), *_marks(model_dir)], default=0)


def keep_number(model_dir: Path) -> None:
    """Mark the highest number as used, durably, so that it stays used if its version is deleted. Raises `OSError`."""
    if number := last_number(model_dir):
        _mark(model_dir, number).touch()
        sync(model_dir)


def _marks(model_dir: Path) -> list[int]:
    names = [path.name.removeprefix(_MARK_PREFIX) for path in model_dir.glob(f"{_MARK_PREFIX}*")]
    return [int(name) for name in names if VERSION.fullmatch(name)]


class _VersionTakenError(Exception):
    """Another process has published this version."""


def _check_publishable(manifest: Manifest, files: Mapping[str, bytes], version_dir: Path) -> None:
    parse(version_dir / MANIFEST, files[MANIFEST])
    for name in REQUIRED:
        if name not in manifest.files:
            raise ArtifactError(f"{version_dir} would be published without {name}, which the service needs")
    for name, content in files.items():
        if len(content) > (limit := max_bytes(name)):
            raise ArtifactError(
                f"{version_dir} would be published with {name} of {len(content):,} bytes, and the service reads "
                f"{limit:,} at most; train a smaller network, or one with fewer features"
            )


def _write_version(model_dir: Path, version: int, files: Mapping[str, bytes], on_commit: Callable[[], None]) -> None:
    """Write a hidden folder and rename it to the version, or to the model's folder with its first version in it."""
    first = not model_dir.exists()
    target = model_dir if first else model_dir / str(version)
    staging = target.parent / f".publishing-{uuid.uuid4().hex}"
    folder = staging / str(version) if first else staging
    try:
        folder.mkdir(parents=True)
        for name, content in files.items():
            with (folder / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if first:
            _mark(staging, version).touch()
        sync(folder)
        sync(staging)
        on_commit()
        if not first:
            _claim(model_dir, version)
        _rename(staging, target)
        _forget_marks_below(version, model_dir)
        sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _mark(model_dir: Path, version: int) -> Path:
    return model_dir / f"{_MARK_PREFIX}{version}"


def _claim(model_dir: Path, version: int) -> None:
    """Mark a number as used before its folder appears: after a kill in between it is unused, but never used twice."""
    try:
        _mark(model_dir, version).touch(exist_ok=False)
    except FileExistsError as error:
        raise _VersionTakenError from error
    if last_number(model_dir) > version:  # it may have been used, and its mark removed, meanwhile
        raise _VersionTakenError


def _forget_marks_below(version: int, model_dir: Path) -> None:
    """Keep only the highest mark."""
    for each in _marks(model_dir):
        if each < version:
            with suppress(OSError):  # the version is published in any case
                _mark(model_dir, each).unlink()


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)  # never replaces a folder that is not empty
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise _VersionTakenError from error
        raise


def sync(folder: Path) -> None:
    """Write a folder's entries to disk. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
