"""Files and folders on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from service.models.command import CommandError
from service.scoring.places import Place, is_shown


class LocalPlace:
    """A path on this machine."""

    def __init__(self, path: Path, below: PurePosixPath | None = None) -> None:
        self.path = path
        self._below = below

    @property
    def shown(self) -> str:
        """Its name for messages."""
        return str(self.path)

    @property
    def below(self) -> PurePosixPath:
        """Its path within the folder that was listed; its name if none was."""
        return self._below or PurePosixPath(self.path.name)

    @property
    def local(self) -> Path:
        """Its path."""
        return self.path

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()

    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    def files(self) -> list[Place]:
        """All files in a folder and those in it; see `Place`."""
        return [LocalPlace(path, below) for path, below in sorted(self._walk())]

    def open(self) -> IO[bytes]:
        """Its content. Raises `CommandError`."""
        try:
            return self.path.open("rb")
        except OSError as error:
            raise CommandError(f"{self.shown} cannot be read: {error.strerror}; give a file that can") from error

    def size_bytes(self) -> int:
        """How long it is."""
        return self.path.stat().st_size

    def stamp(self) -> str:
        """Its size and the time of its last change."""
        status = self.path.stat()
        return f"{status.st_size} bytes of {status.st_mtime_ns}"

    def _walk(self) -> Iterator[tuple[Path, PurePosixPath]]:
        for path in self.path.rglob("*"):
            below = PurePosixPath(path.relative_to(self.path).as_posix())
            if is_shown(below) and path.is_file():
                yield path, below
