"""Where models come from: a folder of models that can be listed and read, and is trusted in nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Final, Protocol

# A folder with more entries than this is no folder of models, of versions, or of a version's files.
MAX_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder that a source lists. ``stamp`` changes if the content of the file does."""

    name: str
    is_folder: bool
    size_bytes: int
    stamp: str


class Source(Protocol):
    """A models folder elsewhere: ``<name>/<version>/<file>``.

    Both methods take the parts of a path below it, which the caller has checked. They raise `FileNotFoundError` if it
    is not there, `ArtifactError` if it leads elsewhere or is no file, and whatever else a store raises if it is away.
    """

    @property
    def shown(self) -> str:
        """Its name for messages, without credentials."""

    def refresh(self) -> None:
        """Forget what was listed before."""

    def entries(self, *parts: str) -> list[Entry]:
        """What a folder holds, without hidden names."""

    def open(self, *parts: str) -> AbstractContextManager[IO[bytes]]:
        """The content of a file."""
