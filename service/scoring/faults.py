"""What is wrong with the rows of a chunk: every bad row has its reason."""

from __future__ import annotations

from typing import Final

from service.errors import Fault, InvalidInput
from service.inference.row_faults import RowFaults

# Finding the nearest category takes milliseconds, so it is named for the first bad rows of a chunk alone.
_WITH_REMEDY: Final = 100


class ChunkFaults(RowFaults):
    """Faults by row, counted from 0 within the chunk."""

    @property
    def full(self) -> bool:
        """Never: a request keeps the first reasons alone, a file has one for each row."""
        return False

    def add(self, row: int, error: InvalidInput) -> None:
        """Note an ``error`` of a row."""
        if len(self) >= _WITH_REMEDY and row not in self:
            error = InvalidInput(error.brief, more=error.more, beside=error.beside)
        super().add(row, error)


def reason(fault: Fault) -> str:
    """What is wrong, without the number of the row."""
    for between in (", ", " "):
        start = f"row {fault.row}{between}"
        if fault.detail.startswith(start):
            return fault.detail.removeprefix(start)
    return fault.detail


def numbered(fault: Fault, first: int) -> str:
    """What is wrong, with the number of the row in its file, given that of the first row of its chunk."""
    if fault.row is None:
        return fault.detail
    return fault.detail.replace(f"row {fault.row}", f"row {first + fault.row}", 1)
