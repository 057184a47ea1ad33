"""Leave out what is no data in a table: an index without a name, empty columns, repeated headers, totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.cells import name_of, strip
from training.data.dataset import join_names
from training.data.tables import columns, units
from training.data.tables.files import spilled
from training.data.tables.files.content import Content
from training.data.tables.frames import Frame
from training.errors import DataError, joined

_TOTALS: Final = frozenset(
    ("total", "totals", "grand total", "total general", "sum", "summe", "gesamt", "all", "overall", "subtotal")
)
_MAX_LISTED: Final = 5
_MIN_WIDTH: Final = 3  # columns of a table with remarks below it
_MAX_REMARKS: Final = 10
_MAX_SHOWN: Final = 60


def tidy(path: Path | Frame, content: Content) -> Content:
    """Return ``content`` with named columns, each name once, and without rows that are no data.

    ``notes`` say what was left out. Raises `DataError` if a name cannot be used.
    """
    names = list(map(name_of, content.names))
    notes = [*content.notes, *_name_notes(content.names, names)]
    kept = list(range(len(names)))
    empty: list[str] = []
    for index in range(len(names)):
        if names[index] and not names[index].startswith("Unnamed: "):  # as pandas reads a column without a name
            continue
        fate, note = _without_name(index, content.columns[index], named=bool(names[index]))
        notes += note
        if fate == "empty":
            empty.append(str(index + 1))
        if fate in {"drop", "empty"}:
            kept.remove(index)
        elif not names[index]:
            names[index] = f"column_{index + 1}"
    if empty:
        what = "column {} is" if len(empty) == 1 else "columns {} are"
        notes.append(f"{what.format(', '.join(empty))} left out: no name and no values")
    _check_names(path, {index + 1: names[index] for index in kept})
    table = spilled.table_of([content.columns[index] for index in kept], [str(index) for index in kept])
    keep, found = _rows(table, [names[index] for index in kept], typed=content.typed[kept[0]])
    if keep is not None:
        table = table.filter(pa.array(keep))
    return Content(
        tuple(names[index] for index in kept),
        tuple(table.columns),
        tuple(content.typed[index] for index in kept),
        (*notes, *found),
        content.decimal_comma,
        tuple(each for index, name in enumerate(names) if index not in kept for each in _as_sent(index, name)),
    )


def _name_notes(given: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return a note on names that have a line break or another blank than the usual one."""
    changed = [
        f"{name!r:.60} for {own!r:.60}"
        for own, name in zip(given, names, strict=True)
        if name != strip(own) and name.isprintable()
    ]
    if not changed:
        return []
    return [f"line breaks and special blanks in names are plain blanks: {join_names(changed, _MAX_LISTED)}"]


def _as_sent(index: int, name: str) -> tuple[str, ...]:
    """Return how clients may call a column: as in the file, or as pandas does if it has no name."""
    return (name,) if name else (name, f"Unnamed: {index}")


def _without_name(index: int, column: pa.ChunkedArray, *, named: bool) -> tuple[str, list[str]]:
    """Return whether to ``drop`` or ``keep`` a column without a name, or that it is ``empty``, and a note."""
    if pa.types.is_nested(column.type):
        return "drop", [f"column {index + 1} has no name and no plain values; it is left out"]
    distinct = pc.count_distinct(column.drop_null()).as_py()
    if distinct <= 1 and _is_empty(column):
        return "empty", []
    if distinct == len(column):
        return "drop", [
            f"column {index + 1} has no name and a different value in each row, as an index; it is left out"
        ]
    note = f"column {index + 1} has no name; it is called 'column_{index + 1}', and clients send it by that name"
    return "keep", [] if named else [note]


def _is_empty(column: pa.ChunkedArray) -> bool:
    if not columns.is_string(column):
        return bool(column.null_count == len(column))
    return all(value is None or not value.strip() for value in column.unique().to_pylist())


def _rows(table: pa.Table, names: list[str], *, typed: bool) -> tuple[np.ndarray | None, list[str]]:
    """Return which rows to keep, None for all, and notes on the others; ``typed`` if the first column has a type."""
    rows = table.num_rows
    keep = np.ones(rows, bool)
    notes = []
    repeated = _repeated_headers(table, names)
    if repeated is not None:
        keep &= ~repeated
        count = int(repeated.sum())
        notes.append(f"{count:,} row{'s repeat' if count > 1 else ' repeats'} the header and {_are(count)} left out")
    if not typed and _are_units(table):
        keep[0] = False
        shown = ", ".join(filter(None, (_text(column[0]) for column in table.columns)))
        notes.append(f"the row below the header has units and is left out: {shown:.{_MAX_SHOWN}}")
    end = rows if typed else _end(table)
    if end < rows:
        keep[end:] = False
        shown = " ".join(filter(None, table.column(0)[end:].to_pylist())).strip()[:_MAX_SHOWN]
        notes.append(f"what stands below the table is skipped: {shown!r}")
    if total := _total(table.slice(0, end), keep[:end]):
        keep[end - 1] = False
        notes.append(f"the last row is {total!r}, a sum of the others, and is left out")
    return (None if keep.all() else keep), notes


def _end(table: pa.Table) -> int:
    """Return how many rows stand above remarks such as the source: texts in the first of several columns alone."""
    rows: int = table.num_rows
    end = rows
    for row in range(rows - 1, max(rows - 1 - _MAX_REMARKS, 0), -1) if table.num_columns >= _MIN_WIDTH else ():
        if any(_has_value(column[row]) for column in table.columns[1:]):
            break
        if _has_value(table.column(0)[row]):
            text = table.column(0)[row].as_py().strip()
            if _is_number(text) or _times(table.column(0), text) > 1:
                break
            end = row
        elif end < rows:
            end = row
    return end


def _are_units(table: pa.Table) -> bool:
    """Return whether the first row has units, or nothing, above each number of the second row."""
    found = False
    for column in table.columns if table.num_rows > 2 else ():
        text, below = _text(column[0]), _text(column[1])
        if units.is_unit(text):
            found |= _is_number(below)
        elif any(map(str.isdigit, text)) or (text.strip("-") and _is_number(below)):
            return False
    return found


def _is_number(text: str) -> bool:
    return bool(columns.look_numeric(pa.array([text]))[0].as_py())


def _text(cell: pa.Scalar) -> str:
    return str(cell.as_py()).strip() if cell.is_valid else ""


def _times(strings: pa.ChunkedArray, text: str) -> int:
    """Return how many of the ``strings`` are ``text`` but for blanks around it."""
    found: int = pc.sum(pc.equal(pc.utf8_trim_whitespace(strings), text)).as_py()
    return found


def _has_value(cell: pa.Scalar) -> bool:
    return cell.is_valid and (not pa.types.is_string(cell.type) or bool(cell.as_py().strip()))


def _repeated_headers(table: pa.Table, names: list[str]) -> np.ndarray | None:
    found: np.ndarray | None = None
    for name, column in zip(names, table.columns, strict=True):
        if not columns.is_string(column):
            return None
        same = pc.equal(pc.utf8_trim_whitespace(column), name).fill_null(False).to_numpy()
        found = same if found is None else found & same
        if not found.any():
            return None
    return found


def _total(table: pa.Table, keep: np.ndarray) -> str | None:
    """Return what the last row is called if it is a total: a word that occurs once, before empty cells or numbers."""
    if table.num_rows < 3 or not keep[-1]:
        return None
    last = [column[-1] for column in table.columns]
    filled = [index for index, cell in enumerate(last) if _has_value(cell)]
    if not filled or not columns.is_string(table.column(filled[0])):
        return None
    word: str = last[filled[0]].as_py().strip()
    if word.casefold().rstrip(":") not in _TOTALS:
        return None
    return word if _times(table.column(filled[0]), word) == 1 else None


def _check_names(path: Path | Frame, names: Mapping[int, str]) -> None:
    """Raise `DataError` with all that is wrong with the names, each by its place in the table."""
    if not names:
        raise DataError(f"{path} has no columns with a name; add a header")
    faults = [
        f"{path}: the name of column {number}, {name!r:.60}, has an unprintable character; rename the column"
        for number, name in names.items()
        if not name.isprintable()
    ]
    repeated = [(name, times) for name, times in Counter(names.values()).items() if times > 1]
    if repeated:
        listed = ", ".join(f"{times} columns named {name!r:.60}" for name, times in repeated[:_MAX_LISTED])
        faults.append(f"{path} has {listed}; rename them, clients send values by name")
    if faults:
        raise DataError(joined(path, faults))


def _are(count: int) -> str:
    return "are" if count > 1 else "is"
