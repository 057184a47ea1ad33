"""Excel workbooks (.xlsx): the first sheet with rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from training.data.tables.files import compression, header
from training.data.tables.files.cell_values import to_column
from training.data.tables.files.content import Content
from training.errors import DataError


def read(path: Path, content: bytes, max_bytes: int = compression.MAX_BYTES) -> Content:
    """Return the columns of the first sheet that has any, below titles. Raises `DataError`."""
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - only a workbook needs it

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(compression.repacked(path, content, max_bytes)))
        sheets = {name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or not an Excel workbook: {error}") from error
    for name, sheet in sheets.items():
        rows = sheet.to_python(skip_empty_area=True)
        if len(rows) > 1:
            others = [other for other in sheets if other != name]
            return _content(rows, [f"sheet {name!r} is read, not {', '.join(map(repr, others))}"] if others else [])
    raise DataError(f"{path} has no sheet with a header and rows; add rows")


def _content(rows: list[list[Any]], notes: list[str]) -> Content:
    at = header.skip_titles([[str(cell) for cell in row] for row in rows[:200]])
    if at:
        notes.append(f"{at} row{'s' * (at > 1)} before the header {'are' if at > 1 else 'is'} skipped")
    names = tuple(_name(cell) for cell in rows[at])
    body = [row for row in rows[at + 1 :] if header.width_of([str(cell) for cell in row])]
    found = [to_column([_value(row[index]) for row in body]) for index in range(len(names))]
    return Content(names, tuple(array for array, _ in found), tuple(typed for _, typed in found), tuple(notes))


def _name(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _value(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell
