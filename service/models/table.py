"""Text for people: tables, sizes, lines without control characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.manifest import unprintable

_STEP: Final = 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def lines(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """The lines of a table; columns whose head is in ``right`` are aligned to the right."""
    cells = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if title in right else cell.ljust(width)
            for cell, width, title in zip(row, widths, head, strict=True)
        ).rstrip()
        for row in cells
    ]


def size_text(size_bytes: float) -> str:
    """A size for people, such as ``1.2 MiB``."""
    for unit in _UNITS[:-1]:
        if size_bytes < _STEP:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= _STEP
    return f"{size_bytes:.1f} {_UNITS[-1]}"


def printable(text: str) -> str:
    """``text`` with a question mark for each character that could break a line or a terminal."""
    return "".join("?" if unprintable(each) else each for each in text) if unprintable(text) else text
