"""Find the header of a table among its first rows: after titles and remarks, or not at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from service.cells import name_of

_NUMBER: Final = re.compile(r"[-+]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][-+]?[0-9]+)?%?")
_YEAR: Final = re.compile("(19|20)[0-9]{2}")
_MOST_TITLES: Final = 50
_MOST_LEVELS: Final = 3  # of a header whose upper rows are merged cells
_MAX_STEP: Final = 10  # between years, or positions
_LEAST_SHARE: Final = 0.6  # of the rows below the header that are as wide as the table


def width_of(row: Sequence[str]) -> int:
    """Return the number of cells up to the last that is not empty."""
    return next((len(row) - index for index, cell in enumerate(reversed(row)) if cell.strip()), 0)


def skip_titles(rows: Sequence[Sequence[str]], known_names: Collection[str] = ()) -> int:
    """Return the index of the header among a table's first ``rows``; those before it are titles or remarks.

    The header is the first row as wide as most rows. It may be one shorter if numbers follow at once: R writes no name
    for the names of the rows. Of a header of several rows it is the one with all ``known_names``.
    """
    at = _first_wide(rows)
    found = row_with(known_names, rows, at)
    return at if found is None else found


def row_with(names: Collection[str], rows: Sequence[Sequence[str]], at: int | None = None) -> int | None:
    """Return the index of the row of the header that has all ``names``; None if there is none.

    The header begins at the row ``at``, which is found if it is None.
    """
    at = _first_wide(rows) if at is None else at
    for place, row in enumerate(rows[at : at + _MOST_LEVELS], at):
        cells = list(map(name_of, row))
        has_values = any(_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell) for cell in cells)
        if set(cells) >= set(names) and (place == at or not has_values):
            return place
    return None


def _first_wide(rows: Sequence[Sequence[str]]) -> int:
    widths = [width_of(row) for row in rows]
    ((usual, count),) = Counter(width for width in widths if width).most_common(1) or [(0, 0)]
    for index, width in enumerate(widths[:_MOST_TITLES]):
        if width >= usual > 1:
            if index and widths[index - 1] == usual - 1 and _are_names(rows[index - 1], rows[index]):
                return index - 1
            return index if count > 1 else 0
    return 0


def consistency(widths: Sequence[int]) -> float:
    """Return the share of rows as wide as the first, or, as R writes them, one wider; 0 for a single column."""
    if not widths or widths[0] < 2:
        return 0.0
    same = sum(width == widths[0] for width in widths[1:])
    wider = sum(width == widths[0] + 1 for width in widths[1:])
    if len(widths) == 1:
        return 1.0
    share = max(same, wider) / (len(widths) - 1)
    return share if share >= _LEAST_SHARE else 0.0


def _are_names(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether all cells of the ``first`` row are words, and some of the ``second`` are numbers."""
    words = all(cell.strip() and not _NUMBER.fullmatch(cell.strip()) for cell in first)
    return words and any(_NUMBER.fullmatch(cell.strip()) for cell in second)


def is_data(rows: Sequence[Sequence[str]], known_names: Collection[str]) -> bool:
    """Return whether the first of ``rows`` is no header but data: its cells recur below, or are numbers as there.

    A row that contains one of the ``known_names``, or whose numbers count up as years do is a header.
    """
    first, others = [cell.strip() for cell in rows[0]], rows[1:]
    if _count_up(first) or any(cell in known_names for cell in first):
        return False
    if _recur(first, others):
        return True
    numbers = [cell for cell in first if _NUMBER.fullmatch(cell)]
    if not numbers or len(numbers) * 3 < len(first):
        return False
    for index, cell in enumerate(first):
        below = [_NUMBER.fullmatch(row[index].strip()) is not None for row in others if index < len(row)]
        if below and _NUMBER.fullmatch(cell) is None and sum(below) * 2 > len(below):
            return False
    return len(set(first)) > 1


def _recur(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Return whether all cells of the ``first`` row stand in their columns below, or all that are twice in it."""
    rows = [cells for row in others if (cells := [cell.strip() for cell in row]) != first]
    times = Counter(filter(None, first))
    recurring = [any(index < len(row) and row[index] == cell for row in rows) for index, cell in enumerate(first)]
    twice = [found for cell, found in zip(first, recurring, strict=True) if times[cell] > 1]
    return (bool(twice) and all(twice)) or (len(first) > 1 and all(recurring))


def _count_up(cells: Sequence[str]) -> bool:
    """Return whether all numbers stand side by side and rise by the same step, as years or positions do."""
    places = [place for place, cell in enumerate(cells) if cell.isdigit()]
    numbers = [int(cells[place]) for place in places]
    steps = {after - before for before, after in pairwise(numbers)}
    adjacent = all(after - before == 1 for before, after in pairwise(places))
    others = any(_NUMBER.fullmatch(cell) for cell in cells if not cell.isdigit())
    return adjacent and not others and len(steps) == 1 and 0 < min(steps) <= _MAX_STEP
