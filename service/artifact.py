"""A published model on disk: its layout, and how it is read and verified.

    models/<name>/<version>/
      model.onnx       the graph: ``inputs`` float32 (rows, features) -> ``probabilities`` float32 (rows, classes) and
                       ``prediction`` int64 (rows,); for a regression -> ``prediction`` float32 (rows, targets).
                       ``inputs`` and a regression's ``prediction`` are float64 if the manifest says so
      model.int8.onnx  the same in static int8, if that is as good
      metadata.json    the manifest: `service.manifest.Manifest`
      golden.npz       held-out ``inputs`` with torch's outputs for them, named like the graph's outputs, and the int8
                       graph's outputs under ``int8_`` and these names
      example.json     one held-out row as a request body
      README.md, …     the model card, its pictures, and both as one page, card.html, for people: the page shows them
      seen-rows.npy    hashes of the rows it was trained on, for the comparison with the next version
    models/<name>/.withdrawn-<version>/
                       a version that was rolled back: the same files, which no server reads until they are restored
    models/<name>/.refused/
                       a version that was not published: `service.refused`
    models/<name>/.last-version-<number>
                       an empty file: the highest number ever published here. It stays if that version is deleted, so
                       that no number is used twice. Without it, numbers continue from the existing versions.

Names that begin with a dot are hidden and never read. Files and folders may be links, as in a volume that Kubernetes
fills from a ConfigMap, if they lead to something inside the models folder.

This module and the manifest are the contract between training and the service; `service.artifact_writer` writes it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.manifest import WITHDRAWN_PREFIX, ArtifactError, Manifest, parse

MANIFEST: Final = "metadata.json"
GOLDEN: Final = "golden.npz"
EXAMPLE: Final = "example.json"
MODEL: Final = "model.onnx"
MODEL_INT8: Final = "model.int8.onnx"
REQUIRED: Final = (MODEL, GOLDEN, EXAMPLE)
VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Larger files are not read, so that a foreign file cannot exhaust the memory. A graph of 1 GiB has 268 million weights,
# and a manifest of 64 MiB a third of a million features.
MAX_MODEL_BYTES: Final = 2**30
MAX_FILE_BYTES: Final = 64 * 2**20
_FILE_TYPES: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One version read from disk: the manifest and the verified files that the service needs.

    ``model_int8`` is None if the version was published without one.
    """

    manifest: Manifest
    model: bytes
    model_int8: bytes | None
    golden: bytes
    example: bytes


def sha256(content: bytes) -> str:
    """The hexadecimal digest of a file with this content, as in the manifest."""
    return hashlib.sha256(content).hexdigest()


def check_name(name: str) -> str:
    """Return ``name`` if it is safe as a folder and in a URL. Raises `ArtifactError` otherwise."""
    if not _NAME.fullmatch(name):
        raise ArtifactError(
            f"model name {name!r}: a name has 1 to 128 letters, digits, '.', '_' and '-', "
            "and begins with a letter or a digit"
        )
    return name


@dataclass(frozen=True, slots=True)
class Listing:
    """The folders of models, or of versions, by name, and why others beside them are ignored."""

    names: tuple[str, ...]
    ignored: Mapping[str, str]


def list_models(models_dir: Path) -> Listing:
    """The sorted names of the models in a folder. Hidden folders and a volume's own ones are skipped.

    Raises `ArtifactError` if the folder cannot be read.
    """
    found, ignored = _folders(models_dir, "models folder")
    found = [name for name in found if name != "lost+found"]  # in the root of every ext4 volume
    for name in found:
        try:
            check_name(name)
        except ArtifactError as error:
            ignored[name] = str(error)
    return Listing(tuple(sorted(set(found) - ignored.keys())), ignored)


def list_versions(model_dir: Path) -> Listing:
    """The versions in ``models/<name>``, ascending; none if the folder does not exist.

    Plain files and hidden folders, such as a version that is being written, are skipped. Raises `ArtifactError` if the
    folder cannot be read.
    """
    found, ignored = _folders(model_dir, "model folder", missing_ok=True)
    for name in found:
        if not VERSION.fullmatch(name):
            ignored[name] = (
                f"{_shown(model_dir / name)}: a version folder is named by a positive integer such as '1', not "
                f"{name!r}; rename it, or move it out of the models folder"
            )
    return Listing(tuple(sorted(set(found) - ignored.keys(), key=int)), ignored)


def withdrawn_versions(model_dir: Path) -> list[int]:
    """The versions in ``models/<name>`` that were withdrawn, ascending. Raises `ArtifactError` if it cannot be read."""
    try:
        names = [path.name.removeprefix(WITHDRAWN_PREFIX) for path in model_dir.glob(f"{WITHDRAWN_PREFIX}*")]
    except OSError as error:
        raise ArtifactError(f"model folder {str(model_dir)!r} cannot be read: {error.strerror}") from error
    return sorted(int(name) for name in names if VERSION.fullmatch(name))


def withdrawn_dir(model_dir: Path, version: int) -> Path:
    """The folder of a withdrawn version."""
    return model_dir / f"{WITHDRAWN_PREFIX}{version}"


def model_names(models_dir: Path) -> list[str]:
    """The names that `list_models` finds. Raises `ArtifactError` also for a folder that it ignores."""
    return list(_strict(list_models(models_dir)))


def versions(model_dir: Path) -> list[int]:
    """The versions that `list_versions` finds. Raises `ArtifactError` also for a folder that it ignores."""
    return [int(name) for name in _strict(list_versions(model_dir))]


def _strict(listing: Listing) -> tuple[str, ...]:
    for reason in listing.ignored.values():
        raise ArtifactError(reason)
    return listing.names


def _folders(folder: Path, what: str, *, missing_ok: bool = False) -> tuple[list[str], dict[str, str]]:
    """The names of the folders in ``folder`` and of links to folders, and why broken links are ignored."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        if missing_ok and isinstance(error, FileNotFoundError) and not folder.is_symlink():
            return [], {}
        raise ArtifactError(f"{what} {str(folder)!r} cannot be read: {error.strerror}") from error
    found, ignored = [], {}
    for name in names:
        try:
            if _is_folder(folder / name):
                found.append(name)
        except ArtifactError as error:
            ignored[name] = str(error)
    return found, ignored


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if not path.is_symlink():
            return False  # it was deleted meanwhile
        raise ArtifactError(
            f"{_shown(path)} is a link to {str(path.readlink())!r}, which cannot be followed: {error.strerror}; fix "
            "the link or remove it"
        ) from error


def _shown(path: Path) -> str:
    """A path whose name may be anything: control characters in it must not reach a terminal."""
    return repr(str(path)) if _CONTROL.search(str(path)) else str(path)


def read(version_dir: Path) -> Artifact:
    """Read one version and verify what the service needs: manifest, graphs, golden rows and example.

    Returns the very bytes that were hashed, so that no file can change between check and use. Raises `ArtifactError`.
    """
    manifest = read_manifest(version_dir)
    content = {name: _verified(version_dir, name, manifest.files) for name in REQUIRED}
    int8 = _verified(version_dir, MODEL_INT8, manifest.files) if MODEL_INT8 in manifest.files else None
    return Artifact(manifest, content[MODEL], int8, content[GOLDEN], content[EXAMPLE])


def read_files(version_dir: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Read one version with every file that its manifest lists, the card included, and verify them.

    Raises `ArtifactError`.
    """
    manifest = read_manifest(version_dir)
    check_file_names(version_dir / MANIFEST, manifest)
    return manifest, {name: _verified(version_dir, name, manifest.files) for name in manifest.files}


def check_file_names(path: Path, manifest: Manifest) -> None:
    """Raise `ArtifactError` if the ``manifest`` at ``path`` lists a file outside the version's folder."""
    for name in manifest.files:
        if name.startswith(".") or Path(name).name != name:
            raise ArtifactError(f"{path}: 'files' lists {name!r:.60}, expected a plain file name")


def read_file(version_dir: Path, name: str, manifest: Manifest) -> bytes:
    """Read one file of a version and verify it against its ``manifest``. Raises `ArtifactError`."""
    return _verified(version_dir, name, manifest.files)


def read_manifest(version_dir: Path) -> Manifest:
    """Read only ``metadata.json`` and check it, also against the folder's name. Raises `ArtifactError`."""
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
    """The content of a file of a version, which must lie inside the models folder and have at most `max_bytes`."""
    path, models_dir = version_dir / name, version_dir.parent.parent
    try:
        target = Path(os.path.realpath(path, strict=True))
        if not target.is_relative_to(os.path.realpath(models_dir)):
            raise ArtifactError(
                f"{path} leads to {target}, outside the models folder {str(models_dir)!r}; copy the version into it"
            )
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            return _bounded(path, descriptor, max_bytes(name))
        finally:
            os.close(descriptor)
    except OSError as error:
        link = f" (a link to {str(path.readlink())!r})" if path.is_symlink() else ""
        raise ArtifactError(f"{path}{link} cannot be read: {error.strerror}; publish the model again") from error


def _bounded(path: Path, descriptor: int, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. Nothing is read of any other."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        what = _FILE_TYPES.get(stat.S_IFMT(found.st_mode), "a device")
        raise ArtifactError(f"{path} is {what}, expected a file; publish the model again")
    if found.st_size > limit:
        raise ArtifactError(
            f"{path} has {found.st_size:,} bytes, expected {limit:,} at most; copy the version again, or publish it "
            "anew"
        )
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(found.st_size + 1)
    if len(content) > found.st_size:
        raise ArtifactError(f"{path} grew while it was read; start again when the version is complete")
    return content


def max_bytes(name: str) -> int:
    """The maximum size of the file with this name in a version's folder."""
    return MAX_MODEL_BYTES if name in {MODEL, MODEL_INT8} else MAX_FILE_BYTES
