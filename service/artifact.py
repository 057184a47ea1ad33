"""What a published model is on disk: its layout, writing, reading and verifying it.

    models/<name>/<version>/
      model.onnx       the graph: ``inputs`` float32 (rows, features) -> ``probabilities`` float32 (rows, classes) and
                       ``prediction`` int64 (rows,); regression: -> ``prediction`` float32 (rows, targets). ``inputs``
                       and a regression's ``prediction`` are float64 where the manifest says so
      model.int8.onnx  the same in static int8, where that is as good
      metadata.json    the manifest: `service.manifest.Manifest`
      golden.npz       held-out ``inputs``, torch's answers to them under the names of the graph's outputs, and the
                       int8 graph's under ``int8_`` and those names
      example.json     one held-out row as a request body
      README.md, …     the model card, its pictures and an example as a picture, for people: the service reads none

Training writes through this module and the service reads through it: here, and in the manifest, the two meet. It needs
the standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from service.manifest import ArtifactError, Manifest, parse

MANIFEST: Final = "metadata.json"
GOLDEN: Final = "golden.npz"
EXAMPLE: Final = "example.json"
MODEL: Final = "model.onnx"
MODEL_INT8: Final = "model.int8.onnx"
REQUIRED: Final = (MODEL, GOLDEN, EXAMPLE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version read from disk: its manifest, and the files the service runs on, each of them verified.

    ``model_int8`` is None where the version was published without one.
    """

    manifest: Manifest
    model: bytes
    model_int8: bytes | None
    golden: bytes
    example: bytes


def sha256(content: bytes) -> str:
    """The hexadecimal digest the manifest holds for a file with this content."""
    return hashlib.sha256(content).hexdigest()


def check_name(name: str) -> str:
    """``name`` if it can be a model's, so that it is safe as a folder and in a URL; else `ArtifactError`."""
    if not _NAME.fullmatch(name):
        raise ArtifactError(
            f"model name {name!r}: a name has 1 to 128 letters, digits, '.', '_' and '-', "
            "and begins with a letter or a digit"
        )
    return name


def model_names(models_dir: Path) -> list[str]:
    """The names of all models in a folder, sorted; hidden folders, and what a volume has of its own, are passed over.

    Raises `ArtifactError` where the folder does not exist or a model's name cannot be one.
    """
    try:
        folders = [path.name for path in models_dir.iterdir() if path.is_dir() and not _is_no_model(path.name)]
    except OSError as error:
        raise ArtifactError(f"models folder {str(models_dir)!r} cannot be read: {error.strerror}") from error
    return sorted(check_name(name) for name in folders)


def _is_no_model(name: str) -> bool:
    return name.startswith(".") or name == "lost+found"  # the latter at the root of every ext4 volume


def versions(model_dir: Path) -> list[int]:
    """The versions published in ``models/<name>``, ascending; none where the folder does not exist.

    Hidden folders and plain files are passed over: a version being published is hidden until it is whole. Any other
    folder whose name is no positive integer raises `ArtifactError`.
    """
    try:
        paths = list(model_dir.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(f"model folder {str(model_dir)!r} cannot be read: {error.strerror}") from error
    found = []
    for path in paths:
        if path.name.startswith(".") or not path.is_dir():
            continue
        if not _VERSION.fullmatch(path.name):
            raise ArtifactError(
                f"{path}: a version folder is named by a positive integer such as '1', not {path.name!r}; "
                "rename it, or move it out of the models folder"
            )
        found.append(int(path.name))
    return sorted(found)


def publish(
    models_dir: Path,
    name: str,
    make: Callable[[int], tuple[Manifest, Mapping[str, bytes]]],
    on_commit: Callable[[], None] = lambda: None,
) -> Path:
    """Write the next version of ``name`` into ``models_dir``, whole or not at all; its folder.

    ``make`` gives the manifest and the content of every other file for the version it is told. It is called again, for
    a higher one, where another publisher was faster. The hashes in the manifest's ``files`` are filled in here.

    Everything is written and synced in a hidden folder, which then takes its place by one rename: an error leaves
    nothing behind, and a kill or a power failure nothing that is read (the hidden folder can be removed).
    ``on_commit`` is called right before the rename, and can still prevent it by raising. Raises `ArtifactError` where
    the folder cannot be written, and where the service would refuse what was made.
    """
    model_dir = models_dir / check_name(name)
    while True:
        version = max(versions(model_dir), default=0) + 1
        manifest, files = make(version)
        manifest = replace(manifest, files={file: sha256(content) for file, content in files.items()})
        _check_publishable(manifest, model_dir / str(version))
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            _place(model_dir, version, {**files, MANIFEST: manifest.to_json().encode()}, on_commit)
        except _VersionTakenError:
            continue
        except OSError as error:
            raise ArtifactError(
                f"{model_dir} cannot be written: {error.strerror}; make room, give the right to write there, "
                "or name another models folder"
            ) from error
        return model_dir / str(version)


class _VersionTakenError(Exception):
    """Another publisher has put its version in this place."""


def _check_publishable(manifest: Manifest, version_dir: Path) -> None:
    parse(version_dir / MANIFEST, manifest.to_json())
    for name in REQUIRED:
        if name not in manifest.files:
            raise ArtifactError(f"{version_dir} would be published without {name}, which the service needs")


def _place(model_dir: Path, version: int, files: Mapping[str, bytes], on_commit: Callable[[], None]) -> None:
    """Write beside the place and rename; a first version comes with its model's folder, so that none is ever empty."""
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
        _sync(folder)
        _sync(staging)
        on_commit()
        _rename(staging, target)
        _sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)  # replaces no folder that has something in it
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise _VersionTakenError from error
        raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(version_dir: Path) -> Artifact:
    """Read one version and verify what the service runs on: manifest, graph, golden rows and example.

    The bytes that were hashed are the bytes returned, so nothing can change between the check and the use. Pictures and
    the card are for people and are not read. Raises `ArtifactError`.
    """
    manifest = read_manifest(version_dir)
    content = {name: _verified(version_dir, name, manifest.files) for name in REQUIRED}
    int8 = _verified(version_dir, MODEL_INT8, manifest.files) if MODEL_INT8 in manifest.files else None
    return Artifact(manifest, content[MODEL], int8, content[GOLDEN], content[EXAMPLE])


def read_manifest(version_dir: Path) -> Manifest:
    """Read ``metadata.json`` alone, checking every field and that it belongs to this folder. Raises `ArtifactError`."""
    path = version_dir / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; publish the model again") from error
    return parse(path, content)


def _verified(version_dir: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    path = version_dir / name
    if name not in hashes:
        raise ArtifactError(f"{version_dir / MANIFEST}: 'files' does not list {name}; publish the model again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}; publish the model again") from error
    if sha256(content) != hashes[name]:
        raise ArtifactError(
            f"{path} ({len(content)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            f"{MANIFEST}; copy the version again, or publish it anew"
        )
    return content
