"""Workbooks: the widest sheet that has the columns that the user named, or the first with rows."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from training.data.tables.files import compression, header
from training.data.tables.files.cell_values import to_column
from training.data.tables.files.content import Content
from training.errors import DataError

SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # also of a newer one with a password
_SAMPLE_ROWS: Final = 200


def is_workbook(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a workbook: one that is not compressed, or any archive of ZIP."""
    return head.startswith((_OLD_EXCEL, compression.ZIP))


def read(path: Path, content: bytes, known_names: Collection[str], max_bytes: int) -> Content:
    """Return the columns of the widest sheet that has ``known_names``, or else of the first with rows, below titles.

    Raises `DataError`.
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError  # noqa: PLC0415 - only a workbook needs it

    try:
        plain = compression.repacked(path, content, max_bytes) if content.startswith(compression.ZIP) else content
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(plain))
        sheets = {name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names}
    except PasswordError as error:
        raise DataError(f"{path} has a password; save it without one") from error
    except (CalamineError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or not a workbook: {error}") from error
    if (chosen := _chosen(sheets, known_names)) is None:
        raise DataError(f"{path} has no sheet with a header and rows; add rows")
    name, rows = chosen
    others = [repr(other) for other in sheets if other != name]
    return _content(rows, known_names, [f"sheet {name!r} is read, not {', '.join(others)}"] if others else [])


def _chosen(sheets: Mapping[str, Any], known_names: Collection[str]) -> tuple[str, list[list[Any]]] | None:
    """Return the name and the rows of the sheet to read: the widest one that has ``known_names``, or the first."""
    tables = {name: rows for name, sheet in sheets.items() if len(rows := sheet.to_python(skip_empty_area=True)) > 1}
    fitting = [pair for pair in tables.items() if header.row_with(known_names, _texts(pair[1])) is not None]
    if known_names and fitting:
        return max(fitting, key=lambda pair: len(pair[1][0]))
    return next(iter(tables.items()), None)


def _content(rows: list[list[Any]], known_names: Collection[str], notes: list[str]) -> Content:
    at = header.skip_titles(_texts(rows), known_names)
    if at:
        notes.append(f"{at} row{'s' * (at > 1)} before the header {'are' if at > 1 else 'is'} skipped")
    names = tuple(_name(cell) for cell in rows[at])
    body = [row for row in rows[at + 1 :] if header.width_of([str(cell) for cell in row])]
    found = [to_column([_value(row[index]) for row in body]) for index in range(len(names))]
    return Content(names, tuple(array for array, _ in found), tuple(typed for _, typed in found), tuple(notes))


def _texts(rows: list[list[Any]]) -> list[list[str]]:
    return [[_name(cell) for cell in row] for row in rows[:_SAMPLE_ROWS]]


def _name(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _value(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell
