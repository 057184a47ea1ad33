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
    models/<name>/.last-version-<number>
                       an empty file: the highest number that was ever published here. It stays when that version is
                       deleted, so that no number is given to two models; a model's folder that has none, or is deleted
                       as a whole, counts on from the versions in it.

Names that begin with a dot are hidden: no reader looks at them. Files and folders may be links, as in a volume that
Kubernetes fills from a ConfigMap, as long as they lead to something inside the models folder.

Training writes through this module and the service reads through it: here, and in the manifest, the two meet. It needs
the standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
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
_LAST = ".last-version-"

# Nothing larger is read, so that a file that is none of ours cannot take the machine's memory. A perceptron of one
# gigabyte has 268 million weights; a manifest of 64 MiB has a third of a million features.
MAX_MODEL_BYTES: Final = 2**30
MAX_FILE_BYTES: Final = 64 * 2**20
_KINDS: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


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
    folders = _folders(models_dir, "models folder")
    return sorted(check_name(name) for name in folders if name != "lost+found")  # at the root of every ext4 volume


def versions(model_dir: Path) -> list[int]:
    """The versions published in ``models/<name>``, ascending; none where the folder does not exist.

    Hidden folders and plain files are passed over: a version being published is hidden until it is whole. Any other
    folder whose name is no positive integer raises `ArtifactError`.
    """
    found = []
    for name in _folders(model_dir, "model folder", missing_ok=True):
        if not _VERSION.fullmatch(name):
            raise ArtifactError(
                f"{model_dir / name}: a version folder is named by a positive integer such as '1', not {name!r}; "
                "rename it, or move it out of the models folder"
            )
        found.append(int(name))
    return sorted(found)


def _folders(folder: Path, what: str, *, missing_ok: bool = False) -> list[str]:
    """The names of the folders in a ``folder``, and of links to such; a link that leads nowhere is an error."""
    try:
        names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        if missing_ok and isinstance(error, FileNotFoundError) and not folder.is_symlink():
            return []
        raise ArtifactError(f"{what} {str(folder)!r} cannot be read: {error.strerror}") from error
    return [name for name in names if _is_folder(folder / name)]


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if not path.is_symlink():
            return False  # it was deleted in between
        raise ArtifactError(
            f"{path} is a link to {str(path.readlink())!r}, which cannot be followed: {error.strerror}; mend the link, "
            "or remove it"
        ) from error


def publish(
    models_dir: Path,
    name: str,
    make: Callable[[int], tuple[Manifest, Mapping[str, bytes]]],
    on_commit: Callable[[], None] = lambda: None,
) -> Path:
    """Write the next version of ``name`` into ``models_dir``, whole or not at all; its folder.

    Its number is higher than that of any version there was. ``make`` gives the manifest and the content of every other
    file for the version it is told. It is called again, for a higher one, where another publisher was faster. The
    hashes in the manifest's ``files`` are filled in here.

    Everything is written and synced in a hidden folder, which then takes its place by one rename: an error leaves
    nothing behind, and a kill or a power failure nothing that is read (the hidden folder can be removed).
    ``on_commit`` is called right before the rename, and can still prevent it by raising. Raises `ArtifactError` where
    the folder cannot be written, and where the service would refuse what was made.
    """
    model_dir = models_dir / check_name(name)
    while True:
        version = _last(model_dir) + 1
        if not _VERSION.fullmatch(str(version)):
            raise ArtifactError(f"{model_dir} has no number left for a version; choose another name")
        manifest, files = make(version)
        manifest = replace(manifest, files={file: sha256(content) for file, content in files.items()})
        files = {**files, MANIFEST: manifest.to_json().encode()}
        _check_publishable(manifest, files, model_dir / str(version))
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            _place(model_dir, version, files, on_commit)
        except _VersionTakenError:
            continue
        except OSError as error:
            raise ArtifactError(
                f"{model_dir} cannot be written: {error.strerror}; make room, give the right to write there, "
                "or name another models folder"
            ) from error
        return model_dir / str(version)


def _last(model_dir: Path) -> int:
    """The highest number that was ever published in ``model_dir``, or is about to be; 0 for none."""
    return max([*versions(model_dir), *_marks(model_dir)], default=0)


def _marks(model_dir: Path) -> list[int]:
    names = [path.name.removeprefix(_LAST) for path in model_dir.glob(f"{_LAST}*")]
    return [int(name) for name in names if _VERSION.fullmatch(name)]


class _VersionTakenError(Exception):
    """Another publisher has put its version in this place."""


def _check_publishable(manifest: Manifest, files: Mapping[str, bytes], version_dir: Path) -> None:
    parse(version_dir / MANIFEST, files[MANIFEST])
    for name in REQUIRED:
        if name not in manifest.files:
            raise ArtifactError(f"{version_dir} would be published without {name}, which the service needs")
    for name, content in files.items():
        if len(content) > (limit := _limit(name)):
            raise ArtifactError(
                f"{version_dir} would be published with {name} of {len(content):,} bytes, and the service reads "
                f"{limit:,} at most; train a smaller network, or one with fewer features"
            )


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
        if first:
            _mark(staging, version).touch()
        _sync(folder)
        _sync(staging)
        on_commit()
        if not first:
            _claim(model_dir, version)
        _rename(staging, target)
        _forget_marks_below(version, model_dir)
        _sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _mark(model_dir: Path, version: int) -> Path:
    return model_dir / f"{_LAST}{version}"


def _claim(model_dir: Path, version: int) -> None:
    """Mark a number as given before its folder appears: a kill in between leaves it unused, and never given twice."""
    try:
        _mark(model_dir, version).touch(exist_ok=False)
    except FileExistsError as error:
        raise _VersionTakenError from error
    if _last(model_dir) > version:  # it may have been given, and its mark removed, since it was looked for
        raise _VersionTakenError


def _forget_marks_below(version: int, model_dir: Path) -> None:
    """Keep the highest mark alone."""
    for each in _marks(model_dir):
        if each < version:
            with suppress(OSError):  # the version is published, whatever becomes of them
                _mark(model_dir, each).unlink()


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
    return parse(version_dir / MANIFEST, _content(version_dir, MANIFEST))


def _verified(version_dir: Path, name: str, hashes: Mapping[str, str]) -> bytes:
    path = version_dir / name
    if name not in hashes:
        raise ArtifactError(f"{version_dir / MANIFEST}: 'files' does not list {name}; publish the model again")
    content = _content(version_dir, name)
    if sha256(content) != hashes[name]:
        raise ArtifactError(
            f"{path} ({len(content)} bytes) is not the file that was published: its SHA-256 differs from the one in "
            f"{MANIFEST}; copy the version again, or publish it anew"
        )
    return content


def _content(version_dir: Path, name: str) -> bytes:
    """What a file of a version holds: one that lies inside the models folder, of no more than `_limit` bytes."""
    path, models_dir = version_dir / name, version_dir.parent.parent
    try:
        place = Path(os.path.realpath(path, strict=True))
        if not place.is_relative_to(os.path.realpath(models_dir)):
            raise ArtifactError(
                f"{path} leads to {place}, outside the models folder {str(models_dir)!r}; copy the version into it"
            )
        # Opening a pipe would wait for a writer.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            return _bounded(path, descriptor, _limit(name))
        finally:
            os.close(descriptor)
    except OSError as error:
        link = f" (a link to {str(path.readlink())!r})" if path.is_symlink() else ""
        raise ArtifactError(f"{path}{link} cannot be read: {error.strerror}; publish the model again") from error


def _bounded(path: Path, descriptor: int, limit: int) -> bytes:
    """The whole content of a file that has at most ``limit`` bytes; of another, nothing is read."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        what = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise ArtifactError(f"{path} is {what}, expected a file; publish the model again")
    if found.st_size > limit:
        raise ArtifactError(
            f"{path} has {found.st_size:,} bytes, expected {limit:,} at most; copy the version again, or publish it "
            "anew"
        )
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(found.st_size + 1)
    if len(content) > found.st_size:
        raise ArtifactError(f"{path} grew while it was read; start again when the version is whole")
    return content


def _limit(name: str) -> int:
    return MAX_MODEL_BYTES if name in {MODEL, MODEL_INT8} else MAX_FILE_BYTES
