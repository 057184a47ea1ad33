"""Files and folders of object stores and other file systems that fsspec knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any, Final, TypeVar

from service.models.command import CommandError
from service.scoring.places import Place, is_shown

_INSTALL: Final = "install mlp-serving[remote]"
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY: Final = re.compile(r"\?\S*")
_STAMPS: Final = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "updated", "created")

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
        info = self._attempt(lambda: self.system.info(self.path))
        version = next((f"{info[name]}" for name in _STAMPS if info.get(name)), "unknown time")
        return f"{info.get('size')} bytes of {version}"

    def put(self, file: str) -> None:
        """Upload a local file. Raises `CommandError`."""
        self._attempt(lambda: self.system.put_file(file, self.path), "written")

    def _attempt(self, call: Callable[[], T], done: str = "read") -> T:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - each store has its own errors
            reason = without_credentials(f"{type(error).__name__}: {error}".partition("\n")[0])
            raise CommandError(
                f"{self.shown} cannot be {done} ({reason:.200}); check the name, and the store's credentials"
            ) from None  # a cause could show the credentials


def place(url: str) -> RemotePlace:
    """The place of a URL. Raises `CommandError` without fsspec, or the package of the scheme."""
    shown, scheme = without_credentials(url), url.partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        system, path = url_to_fs(url)
    except ImportError as error:
        detail = f"{shown} needs the package {error.name or 'of its store'!r}, which is not installed; {_INSTALL}"
        raise CommandError(detail) from None
    except Exception as error:  # noqa: BLE001 - each store has its own errors
        reason = without_credentials(f"{type(error).__name__}: {error}".partition("\n")[0])
        raise CommandError(f"{shown} is no place that fsspec knows ({reason:.200}); write s3://bucket/name") from None
    return RemotePlace(system, scheme, path.rstrip("/"))


def without_credentials(text: str) -> str:
    """``text`` without the user and password of URLs, and without their queries, which may be signed."""
    return _QUERY.sub("", _CREDENTIALS.sub("", text))
