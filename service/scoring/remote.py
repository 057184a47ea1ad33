"""Files and folders of object stores and other file systems that fsspec knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any, TypeVar

from service.models.command import CommandError
from service.models.file_systems import open_url, reason, stamp, without_credentials
from service.scoring.places import Place, is_shown

T = TypeVar("T")


class RemotePlace:
    """A path of an fsspec file system, under the scheme of its URL."""

    def __init__(self, system: Any, scheme: str, path: str, below: PurePosixPath | None = None) -> None:
        self.system = system
        self.path = path
        self._scheme = scheme
        self._below = below

    @property
    def shown(self) -> str:
        """Its URL without user, password and query."""
        return without_credentials(f"{self._scheme}://{self.path.lstrip('/')}")

    @property
    def below(self) -> PurePosixPath:
        """Its path within the folder that was listed; its name if none was."""
        return self._below or PurePosixPath(PurePosixPath(self.path).name)

    @property
    def local(self) -> None:
        """None: it is not on this machine."""
        return

    def exists(self) -> bool:
        """Whether it is there."""
        return bool(self._attempt(lambda: self.system.exists(self.path)))

    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return bool(self._attempt(lambda: self.system.isdir(self.path)))

    def files(self) -> list[Place]:
        """All files in a folder and those in it; see `Place`."""
        found: list[Place] = []
        for path in sorted(self._attempt(lambda: self.system.find(self.path))):
            below = PurePosixPath(path.removeprefix(self.path).lstrip("/"))
            if is_shown(below):
                found.append(RemotePlace(self.system, self._scheme, path, below))
        return found

    def open(self) -> IO[bytes]:
        """Its content. Raises `CommandError`."""
        file: IO[bytes] = self._attempt(lambda: self.system.open(self.path, "rb"))
        return file

    def size_bytes(self) -> int:
        """How long it is."""
        return int(self._attempt(lambda: self.system.size(self.path)) or 0)

    def stamp(self) -> str:
        """Its size, and what the store tells of its content."""
        return stamp(self._attempt(lambda: self.system.info(self.path)))

    def put(self, file: str) -> None:
        """Upload a local file. Raises `CommandError`."""
        self._attempt(lambda: self.system.put_file(file, self.path), "written")

    def _attempt(self, call: Callable[[], T], done: str = "read") -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            raise CommandError(
                f"{self.shown} cannot be {done} ({reason(error):.200}); check the name, and the store's credentials"
            ) from None  # a cause could show the credentials


def place(url: str) -> RemotePlace:
    """The place of a URL. Raises `CommandError` without fsspec, or the package of the scheme."""
    system, path = open_url(url)
    return RemotePlace(system, url.partition("://")[0], path)
