"""The rows of a request that do not fit the model, where the other rows are answered all the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput

# Errors with a reason. Finding one can take milliseconds, and each is sent.
_EXPLAINED: Final = 100
_MORE: Final = f"the row does not fit the model either; only the first {_EXPLAINED} errors are explained"


class RowFaults:
    """The first fault of each bad row."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault | None] = {}

    def __len__(self) -> int:
        return len(self._faults)

    def __contains__(self, row: int) -> bool:
        return row in self._faults

    def add(self, row: int, error: InvalidInput) -> None:
        """Note that ``row`` is bad, unless that is known. Only the first errors keep their reason."""
        if row not in self._faults:
            self._faults[row] = None if self.full else error.fault

    def add_unexplained(self, rows: Iterable[int]) -> None:
        """Note that ``rows`` are bad; those that are known keep their reason."""
        self._faults = dict.fromkeys(rows) | self._faults

    @property
    def full(self) -> bool:
        """Whether no more reasons are kept."""
        return len(self._faults) >= _EXPLAINED

    def rows(self) -> list[int]:
        """The bad rows, in ascending order."""
        return sorted(self._faults)

    def mask(self, count: int) -> NDArray[np.bool_]:
        """Which of ``count`` rows are bad (count,)."""
        bad = np.zeros(count, np.bool_)
        bad[self.rows()] = True
        return bad

    def faults(self) -> list[Fault]:
        """One fault for each bad row, in ascending order."""
        return [self._faults[row] or Fault(_MORE, row) for row in self.rows()]

    def check(self, count: int) -> None:
        """Raise `InvalidInput` with all faults if all ``count`` rows of a request are bad."""
        if self._faults and len(self._faults) >= count:
            first, *more = self.faults()
            raise InvalidInput(first, more=more)
