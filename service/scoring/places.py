"""A file or a folder, on this machine or in a store."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path, PurePosixPath
from typing import IO, Protocol


class Place(Protocol):
    """A file or a folder."""

    @property
    def shown(self) -> str:
        """Its name for messages, without credentials."""

    @property
    def below(self) -> PurePosixPath:
        """Its path within the folder that was listed; its name if none was."""

    @property
    def local(self) -> Path | None:
        """Its path on this machine; None if it is in a store."""

    def exists(self) -> bool:
        """Whether it is there."""

    def is_folder(self) -> bool:
        """Whether it is a folder."""

    def files(self) -> list[Place]:
        """All files in a folder and those in it, sorted; hidden ones, and those that begin with ``_``, are left out."""

    def open(self) -> IO[bytes]:
        """Its content. Raises `CommandError`."""

    def size_bytes(self) -> int:
        """How long it is."""

    def stamp(self) -> str:
        """What changes if its content does: its size, and when or as what it was written."""


def is_shown(below: PurePosixPath) -> bool:
    """Whether a file in a folder has rows: not if it, or a folder around it, begins with ``.`` or ``_``."""
    return not any(part.startswith((".", "_")) for part in below.parts)


def format_suffix(place: Place, compressions: Container[str]) -> tuple[str, bool]:
    """The suffix of a file's format, empty without one, and whether one of ``compressions`` follows it; lower case."""
    *_, suffix, last = ("", "", *(each.lower() for each in place.below.suffixes))
    return (suffix, True) if last in compressions else (last, False)
