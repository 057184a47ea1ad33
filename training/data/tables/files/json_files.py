"""JSON files: an array of objects, one object a line, or an orient of pandas: split, columns, index or table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from training.data.dataset import join_names
from training.data.tables.files import encodings
from training.data.tables.files.cell_values import to_column
from training.data.tables.files.content import Content
from training.errors import DataError

_EXPECTED: Final = "an array of objects, one object a line, or what pandas' to_json writes"
_MAX_LISTED: Final = 5
Columns = dict[str, list[Any]]


def read(path: Path, content: bytes) -> Content:
    """Return the columns of a JSON file; a value that an object lacks is missing. Raises `DataError`."""
    text, notes = encodings.to_utf8(path, content)
    document = _parse(path, bytes(text))
    if (key := _key_of_rows(document)) is not None:
        others = [repr(other) for other in document if other != key]
        if others:
            notes.append(f"the objects of {key!r} are read as rows, not {join_names(others, _MAX_LISTED)}")
        document = document[key]
    columns = _columns(document)
    if columns is None:
        raise DataError(f"{path} holds no table that is known, expected {_EXPECTED}")
    arrays = [to_column(values) for values in columns.values()]
    return Content(
        tuple(columns), tuple(array for array, _ in arrays), tuple(typed for _, typed in arrays), tuple(notes)
    )


def _parse(path: Path, text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)  # NaN, as Python writes it
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply, expected {_EXPECTED}") from error
    except json.JSONDecodeError as error:
        lines = [line for line in text.split(b"\n") if line.strip()]
        if not lines[0].lstrip().startswith((b"{", b"[")) or len(lines) == 1:
            raise DataError(f"{path} is not JSON: {error}; expected {_EXPECTED}") from error
    return [_parse_line(path, number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]


def _parse_line(path: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}, line {number} is not JSON: {error}; expected {_EXPECTED}") from error


def _key_of_rows(document: Any) -> str | None:
    """Return the key of the only list of objects in a document that is an answer of an API; None if it is none."""
    if not isinstance(document, dict) or ("schema" in document and "data" in document):
        return None
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    found = [key for key, value in lists.items() if value and all(isinstance(row, dict) for row in value)]
    others = [key for key in found[:1] for other in lists if other != key and len(lists[other]) == len(lists[key])]
    return found[0] if len(found) == 1 and not others else None


def _columns(document: Any) -> Columns | None:
    """Return the values of each column; None if the document is no table."""
    if isinstance(document, list):
        return _of_rows(document)
    if not isinstance(document, dict) or not document:
        return None
    names, data = document.get("columns"), document.get("data")
    if isinstance(names, list) and isinstance(data, list):
        return _of_lists([names, *data])
    if isinstance(data, list) and "schema" in document:
        return _of_rows(data)
    return _of_values(document)


def _of_values(document: Mapping[str, Any]) -> Columns | None:
    """An object of columns, or one row."""
    values = list(document.values())
    if all(isinstance(each, dict) for each in values):
        return _of_objects(document)
    if not all(isinstance(each, list) for each in values):
        return {name: [value] for name, value in document.items()}
    return {name: list(each) for name, each in document.items()} if len(set(map(len, values))) == 1 else None


def _of_rows(rows: Sequence[Any]) -> Columns | None:
    if rows and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    return _of_lists(rows)


def _of_lists(rows: Sequence[Any]) -> Columns | None:
    """Rows as lists; the first one has the names."""
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        return None
    names = [str(name) for name in rows[0]]
    return {name: [row[index] for row in rows[1:]] for index, name in enumerate(names)} if _distinct(names) else None


def _of_objects(document: Mapping[str, Mapping[str, Any]]) -> Columns:
    """pandas' ``columns``, an object for each column, or ``index``, an object for each row, whose keys are numbers."""
    inner = dict.fromkeys(key for values in document.values() for key in values)
    if _counts(document) and not _counts(inner):
        return {name: [row.get(name) for row in document.values()] for name in inner}
    return {name: [values.get(key) for key in inner] for name, values in document.items()}


def _counts(keys: Mapping[str, Any]) -> bool:
    return all(key.isdigit() for key in keys)


def _distinct(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)
