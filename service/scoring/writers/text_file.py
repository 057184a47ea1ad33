"""A text file of rows that workers have encoded, and perhaps compressed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any


class TextFile(ABC):
    """A file whose rows are `encoded` by a format, with what ``compress`` makes of them."""

    def __init__(self, path: Path, compress: Callable[[bytes], bytes]) -> None:
        self._compress = compress
        self._file = path.open("wb")

    @abstractmethod
    def encoded(self, batch: Any) -> bytes:
        """The rows of a record batch as text."""

    def prepare(self, batch: Any) -> bytes:
        """The bytes of the file for these rows; see `Writer`."""
        return self._compress(self.encoded(batch)) if batch.num_rows else b""

    def write(self, prepared: bytes) -> None:
        """Append rows; see `Writer`."""
        self._file.write(prepared)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
