"""One version in a source: its files as they are listed, and whether a server could take them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from service import artifact
from service.artifact import MANIFEST, REQUIRED, max_bytes
from service.manifest import ArtifactError, Manifest, parse
from service.models import table
from service.models.pulling.retries import Retries, WriteFault
from service.models.pulling.source import MAX_ENTRIES, Entry, Source

# A published version has a dozen files: two graphs, golden rows, the card and its pictures.
MAX_FILES: Final = 200
MAX_VERSION_BYTES: Final = 3 * 2**30
_MAX_NAME: Final = 200
_CHUNK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """A version of a source, before anything but the listing was read. ``stamp`` changes if a file of it does."""

    source: Source
    name: str
    version: int
    files: Mapping[str, Entry]
    stamp: str

    @property
    def shown(self) -> str:
        """Its folder for messages."""
        return f"{self.source.shown}/{self.name}/{self.version}"

    def manifest(self, retries: Retries) -> tuple[Manifest, bytes]:
        """The manifest, checked against the listing, and its content. Raises `ArtifactError`, and as `Retries`."""
        if MANIFEST not in self.files:
            raise ArtifactError(f"{self.shown} has no {MANIFEST}; it is taken once it is complete")
        content = retries(self._read_manifest, f"{self.shown}/{MANIFEST}")
        path = Path(self.shown, MANIFEST)
        try:
            manifest = parse(path, content)
            artifact.check_file_names(path, manifest)
        except ArtifactError as error:  # a path has single slashes
            raise ArtifactError(str(error).replace(str(path), f"{self.shown}/{MANIFEST}")) from error
        self._check(manifest)
        return manifest, content

    def _read_manifest(self) -> bytes:
        limit = max_bytes(MANIFEST)
        with self.source.open(self.name, str(self.version), MANIFEST) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise self._too_large(MANIFEST, limit)
        return content

    def _check(self, manifest: Manifest) -> None:
        """Before anything large is read: which files there are, how many, and their sizes."""
        names = manifest.files
        if missing := [name for name in REQUIRED if name not in names]:
            raise ArtifactError(f"{self.shown}: 'files' does not list {missing[0]}; publish the model again")
        if len(names) > MAX_FILES:
            raise ArtifactError(f"{self.shown} has {len(names):,} files, expected {MAX_FILES} at most")
        if missing := [name for name in names if len(name) > _MAX_NAME or name not in self.files]:
            raise ArtifactError(f"{self.shown} lacks {_listed(missing)}; it is taken once it is complete")
        for name in names:
            if self.files[name].size_bytes > max_bytes(name):
                raise self._too_large(name, max_bytes(name))
        if (size_bytes := sum(self.files[name].size_bytes for name in names)) > MAX_VERSION_BYTES:
            raise ArtifactError(f"{self.shown} has {size_bytes:,} bytes, expected {MAX_VERSION_BYTES:,} at most")

    def copy(self, name: str, sha256: str, target: IO[bytes], progress: Callable[[int], object]) -> int:
        """Copy a file to ``target``, which is empty, and return its size. Raises `ArtifactError` if it is another file.

        Raises what the store raises if it is away, `OSError` if the file ends early, and `WriteFault`. ``progress`` is
        called with the bytes of each chunk.
        """
        expected, size_bytes, digest = self.files[name].size_bytes, 0, hashlib.sha256()
        with self.source.open(self.name, str(self.version), name) as file:
            while chunk := file.read(_CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > expected:
                    break
                digest.update(chunk)
                _write(target, chunk)
                progress(len(chunk))
        if size_bytes != expected:
            raise OSError(f"{size_bytes:,} bytes came, and {expected:,} are listed")
        if digest.hexdigest() != sha256:
            raise ArtifactError(
                f"{self.shown}/{name} ({size_bytes} bytes) is not the file that was published: its SHA-256 differs "
                f"from the one in {MANIFEST}; copy the version there again"
            )
        return size_bytes

    def _too_large(self, name: str, limit: int) -> ArtifactError:
        return ArtifactError(f"{self.shown}/{name} has more than {limit:,} bytes; publish a smaller model")


def find(source: Source, name: str, version: int, retries: Retries) -> RemoteVersion:
    """The version as the source lists it. Raises `ArtifactError` for a folder with too many files, and as `Retries`."""
    entries = retries(lambda: source.entries(name, str(version)), f"{source.shown}/{name}/{version}")
    if len(entries) > MAX_ENTRIES:
        raise ArtifactError(f"{source.shown}/{name}/{version} has {len(entries):,} entries, which is no version")
    files = {entry.name: entry for entry in entries if not entry.is_folder}
    stamps = "\n".join(f"{entry.name} {entry.size_bytes} {entry.stamp}" for entry in files.values())
    return RemoteVersion(source, name, version, files, artifact.sha256(stamps.encode()))


def _write(target: IO[bytes], chunk: bytes) -> None:
    try:
        target.write(chunk)
    except OSError as error:
        raise WriteFault from error


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(table.printable(f"{name:.60}") for name in names[:3]) + more
