"""How many bytes of request bodies wait in memory to be whole, or to be read, of all connections together."""

from __future__ import annotations

from typing import Final

from service.errors import Overloaded

_RETRY_S: Final = 1.0


class BodyBudget:
    """Counts them; a body that came in one piece and is read at once need not be counted."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    def acquire(self, size_bytes: int) -> None:
        """Count a piece more. Raises `Overloaded` where there is no room for it."""
        if self.held_bytes + size_bytes > self._max_bytes:
            raise Overloaded(
                f"{self.held_bytes} bytes of bodies wait to be whole, and {size_bytes} more would exceed "
                f"{self._max_bytes}; send fewer large requests at once, or add replicas",
                _RETRY_S,
            )
        self.held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count so many less."""
        self.held_bytes -= size_bytes
