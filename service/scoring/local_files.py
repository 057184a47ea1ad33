"""Files and folders on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from service.models.command import CommandError
from service.scoring.places import Place, is_shown

T = TypeVar("T")


class LocalPlace:
    """A path on this machine."""

    def __init__(self, path: Path, below: PurePosixPath | None = None) -> None:
        self.path = path
        self._below = below

    def __getstate__(self) -> dict[str, Any]:
        """The same path for another process, whose working folder may be another one."""
        return self.__dict__ | {"path": self.path.absolute()}

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
        """Whether it is there. Raises `CommandError` if that cannot be found out."""
        return bool(self._attempt(self.path.exists))

    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    def files(self) -> list[Place]:
        """All files in a folder and those in it; see `Place`."""
        return [LocalPlace(path, below) for path, below in sorted(self._walk())]

    def open(self) -> IO[bytes]:
        """Its content. Raises `CommandError`."""
        return self._attempt(lambda: self.path.open("rb"))

    def size_bytes(self) -> int:
        """How long it is. Raises `CommandError`."""
        return self._attempt(self.path.stat).st_size

    def stamp(self) -> str:
        """Its size and the time of its last change."""
        status = self._attempt(self.path.stat)
        return f"{status.st_size} bytes of {status.st_mtime_ns}"

    def _attempt(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except OSError as error:
            raise CommandError(f"{self.shown} cannot be read: {error.strerror}; give a file that can") from error

    def _walk(self) -> Iterator[tuple[Path, PurePosixPath]]:
        for path in self.path.rglob("*"):
            below = PurePosixPath(path.relative_to(self.path).as_posix())
            if is_shown(below) and path.is_file():
                yield path, below
