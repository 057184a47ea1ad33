"""The interface of a writer: record batches to one file."""

from __future__ import annotations

from typing import Any, Protocol


class Writer(Protocol):
    """A file that is being written; made with its path and the schema of its rows."""

    def prepare(self, batch: Any) -> Any:
        """What `write` takes for a record batch. Called in a worker, so most of the work belongs here."""

    def write(self, prepared: Any) -> None:
        """Append rows, in their order. Raises `OSError`."""

    def close(self) -> None:
        """Write what is left, and close the file. Raises `OSError`."""
