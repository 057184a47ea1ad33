"""What is wrong with rows that do not fit the model: with each of them, or with the first one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput

# Errors with a reason, which are sent, and the first of them with a remedy that takes long to find.
_EXPLAINED: Final = 100
_HINTED: Final = 5
# Errors of one row that are looked for, how many of them have the remedies that take long to find, and how many other
# features a message names.
MOST_ERRORS: Final = 20
_WITH_HINTS: Final = 3
_SHOWN: Final = 10
_MORE: Final = f"the row does not fit the model either; only the first {_EXPLAINED} errors are explained"


@dataclass(slots=True)
class _Faults:
    """The first fault of a row, and its other bad features."""

    first: Fault
    others: list[str]

    def together(self) -> Fault:
        return replace(self.first, detail=self.first.detail + _beside(self.others))


class RowFaults:
    """What is wrong with each bad row."""

    def __init__(self) -> None:
        self._faults: dict[int, _Faults | None] = {}

    def __len__(self) -> int:
        return len(self._faults)

    def __contains__(self, row: int) -> bool:
        return row in self._faults

    def add(self, row: int, error: InvalidInput) -> None:
        """Note an ``error`` of a row. Only the first bad rows keep their reason."""
        known = self._faults.get(row)
        if known is not None:
            known.others += _features_in(error.brief, *error.more)
        elif row not in self._faults:
            self._faults[row] = None if self.full else _Faults(self._explained(error), [])

    def skips(self, row: int) -> bool:  # noqa: ARG002 - see `FirstBadRow`
        """Whether errors of ``row`` do not matter."""
        return False

    def add_unexplained(self, rows: Iterable[int]) -> None:
        """Note that ``rows`` are bad; those that are known keep their reason."""
        self._faults = dict.fromkeys(rows) | self._faults

    @property
    def full(self) -> bool:
        """Whether no more reasons are kept."""
        return len(self._faults) >= _EXPLAINED

    @property
    def has_hints(self) -> bool:
        """Whether the next reason may have remedies that take long to find: many of them would block the event loop."""
        return len(self._faults) < _HINTED

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
        return [Fault(_MORE, row) if known is None else known.together() for row, known in sorted(self._faults.items())]

    def _explained(self, error: InvalidInput) -> Fault:
        fault = error.fault if self.has_hints else error.brief
        return replace(fault, detail=fault.detail + error.beside)

    def check(self, count: int) -> None:
        """Raise `InvalidInput` with all faults if all ``count`` rows of a request are bad."""
        if self._faults and len(self._faults) >= count:
            first, *more = self.faults()
            raise InvalidInput(first, more=more)


class FirstBadRow:
    """The errors of the first bad row, where values are read column by column."""

    def __init__(self) -> None:
        self._row = sys.maxsize
        self._errors: list[InvalidInput] = []

    def add(self, row: int, error: InvalidInput) -> None:
        """Note an ``error`` of a row."""
        if row < self._row:
            self._row, self._errors = row, []
        if row == self._row:
            self._errors.append(error)

    def skips(self, row: int) -> bool:
        """Whether errors of ``row`` do not matter, as there is one before it, or there are many of it."""
        return row > self._row or (row == self._row and len(self._errors) >= MOST_ERRORS)

    def check(self) -> None:
        """Raise `InvalidInput` if there is a bad row."""
        if self._errors:
            raise of_row(self._errors)


def errors_of(reads: Iterable[Callable[[], object]]) -> list[InvalidInput]:
    """The errors that reading the values of a row raises; not all if there are many."""
    errors: list[InvalidInput] = []
    for read in reads:
        try:
            read()
        except InvalidInput as error:
            errors.append(error)
            if len(errors) == MOST_ERRORS:
                break
    return errors


def of_row(errors: Sequence[InvalidInput], *, with_hints: bool = True) -> InvalidInput:
    """One error for all of a row. Only the first few have remedies that take long to find; ``with_hints`` alone."""
    first, *others = errors
    if not others:
        return first
    hinted = _WITH_HINTS if with_hints else 0
    more = list(first.more)
    for count, error in enumerate(others, 1):
        more += [error.fault if count < hinted else error.brief, *error.more]
    names = _features_in(*(more if first.beside else more[len(first.more) :]))
    return InvalidInput(first.fault if with_hints else first.brief, more=more[:MOST_ERRORS], beside=_beside(names))


def _features_in(*faults: Fault) -> list[str]:
    return [fault.feature for fault in faults if fault.feature is not None]


def _beside(names: Sequence[str]) -> str:
    """What a message says of other bad features of the row."""
    if not names:
        return ""
    listed = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" (also bad in this row: {listed}{more})"
