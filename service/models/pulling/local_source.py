"""A models folder on this machine, or on a volume that is mounted here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.manifest import ArtifactError
from service.models.pulling.source import Entry


class LocalSource:
    """A folder. Links in it may lead to what lies inside it, and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def shown(self) -> str:
        """Its path."""
        return str(self._folder)

    def refresh(self) -> None:
        """Nothing is kept."""

    def entries(self, *parts: str) -> list[Entry]:
        """See `Source`. Broken links, pipes and devices are left out."""
        shown = sorted(path for path in self._inside(parts).iterdir() if not path.name.startswith("."))
        return [entry for entry in map(_entry, shown) if entry is not None]

    @contextmanager
    def open(self, *parts: str) -> Iterator[IO[bytes]]:
        """See `Source`."""
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(self._inside(parts), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArtifactError(f"{self._folder.joinpath(*parts)} is no file; publish the version again")
            yield file

    def _inside(self, parts: tuple[str, ...]) -> Path:
        """The path with all links followed. Raises `ArtifactError` if it leads outside the folder."""
        path, root = self._folder.joinpath(*parts), Path(os.path.realpath(self._folder, strict=True))
        found = Path(os.path.realpath(path, strict=True))
        if not found.is_relative_to(root):
            raise ArtifactError(f"{path} leads to {found}, outside {self.shown!r}; publish the version as files")
        return found


def _entry(path: Path) -> Entry | None:
    try:
        status = path.stat()
    except OSError:  # a broken link, or it was deleted meanwhile
        return None
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder and not stat.S_ISREG(status.st_mode):
        return None
    return Entry(path.name, is_folder, status.st_size, f"{status.st_ino} {status.st_mtime_ns}")
