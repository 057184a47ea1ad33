"""A models folder in an object store, or another file system that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from service.models.file_systems import stamp, without_credentials
from service.models.pulling.source import Entry


class UrlSource:
    """``path`` of the fsspec file system ``system``, under the ``scheme`` of its URL."""

    def __init__(self, system: Any, scheme: str, path: str) -> None:
        self._system = system
        self._scheme = scheme
        self._path = path

    @property
    def shown(self) -> str:
        """Its URL without user, password and query."""
        return without_credentials(f"{self._scheme}://{self._path.lstrip('/')}")

    def refresh(self) -> None:
        """See `Source`; stores keep their listings."""
        self._system.invalidate_cache()

    def entries(self, *parts: str) -> list[Entry]:
        """See `Source`. An object store lists the folder itself if it has a marker for it."""
        folder = self._join(parts)
        found = []
        for info in self._system.ls(folder, detail=True):
            path = str(info["name"]).rstrip("/")
            name = path.rpartition("/")[2]
            if name and not name.startswith(".") and path.strip("/") != folder.strip("/"):
                is_folder = info.get("type") == "directory"
                found.append(Entry(name, is_folder, int(info.get("size") or 0), stamp(info)))
        return sorted(found, key=lambda entry: entry.name)

    @contextmanager
    def open(self, *parts: str) -> Iterator[IO[bytes]]:
        """See `Source`."""
        with self._system.open(self._join(parts), "rb") as file:
            yield file

    def _join(self, parts: tuple[str, ...]) -> str:
        return "/".join((self._path, *parts))
