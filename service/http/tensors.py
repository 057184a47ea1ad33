"""Rows that come as JSON, checked, as float rows that the model takes.

The numbers of a well-formed request never become Python objects: simdjson writes them into one buffer. What does not
fit that — rows by feature name, texts, a wrong length, a null — is read again, carefully, to be taken or refused with
the reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import simdjson
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.columns import kind_of
from service.http.schema import Schema

_KEYS: Final = ("inputs", "instances")


def rows_from_json(body: bytes, schema: Schema) -> NDArray[np.float64]:
    """Rows of a JSON document ``{"inputs": X}`` or ``{"instances": X}`` as float64 (rows, features).

    X is a list of rows, or one row. A row is flat, nested to the model's shape, or an object by feature name. Every
    value returned is finite as float32, or NaN where one is missing that may be. Raises `MalformedBody` where the body
    is not JSON, and `InvalidInput`, naming the first bad row and feature, where it is not rows of this model.
    """
    rows = _regular_rows(body, schema) if schema.numeric else None
    return _careful_rows(body, schema) if rows is None else rows


def _regular_rows(body: bytes, schema: Schema) -> NDArray[np.float64] | None:
    try:
        document: Any = simdjson.Parser().parse(body)
        (key,) = [key for key in document if key in _KEYS]
        array = document[key]
        dimensions = _dimensions(array)
        width, shape = schema.width, schema.shape
        flat = (width,)
        if dimensions[1:] not in (flat, shape) and dimensions not in (flat, shape):
            return None
        # as_buffer flattens: that each array has its length, and that there are no more arrays than these, is what
        # makes a row of 783 numbers followed by one of 785 an error.
        arrays = _arrays_in(dimensions)
        if not _opens(body, arrays) or (arrays > len(dimensions) and not _is_regular(array, dimensions)):
            return None
        values: NDArray[np.float64] = np.frombuffer(array.as_buffer(of_type="d"))
    except (ValueError, TypeError, RuntimeError, IndexError):
        return None
    rows = values.reshape(-1, width)
    if len(rows) > schema.max_rows or not schema.fits(values):
        return None
    return rows


def _dimensions(array: Any) -> tuple[int, ...]:
    dimensions = []
    while isinstance(array, simdjson.Array):
        dimensions.append(len(array))
        array = array[0]
    return tuple(dimensions)


def _opens(body: bytes, arrays: int) -> bool:
    """Whether so many arrays begin in a JSON text without others, as far as brackets tell."""
    # Where rows are long, find is several times as fast as count, which goes byte by byte.
    at = -1
    for _ in range(arrays):
        at = body.find(b"[", at + 1)
        if at < 0:
            return False
    return body.find(b"[", at + 1) < 0


def _arrays_in(dimensions: tuple[int, ...]) -> int:
    arrays = here = 1
    for length in dimensions[:-1]:
        here *= length
        arrays += here
    return arrays


def _is_regular(array: Any, dimensions: tuple[int, ...]) -> bool:
    if len(array) != dimensions[0]:
        return False
    inner = dimensions[1:]
    if len(inner) == 1:
        return {len(each) for each in array} == {inner[0]}
    return not inner or all(_is_regular(each, inner) for each in array)


def _careful_rows(body: bytes, schema: Schema) -> NDArray[np.float64]:
    try:
        # The standard library reads NaN, Infinity and 1e400, which many clients write: they get an error that names
        # the row, not one that speaks of JSON.
        document = json.loads(body, object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error
    except RecursionError as error:
        raise MalformedBody("the body is JSON nested too deeply; send a list of rows") from error
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from error
    rows = _rows_of(document, schema)
    schema.check_count(len(rows))
    result = np.empty((len(rows), schema.width))
    for index, row in enumerate(rows):
        result[index] = _numbers_of(index, row, schema)
    if schema.brightest is not None:
        schema.fits(result.reshape(-1))  # refuses pixels that were scaled
    return result


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MalformedBody(f"the key {twice!r:.60} stands twice in one object; send it once")
    return document


def _rows_of(document: object, schema: Schema) -> Sequence[object]:
    if not isinstance(document, dict):
        raise InvalidInput(Fault(f'the body is {kind_of(document)}, expected an object {{"inputs": [row, …]}}'))
    present = [key for key in _KEYS if key in document]
    if len(present) != 1:
        found = "both" if present else "neither"
        raise InvalidInput(Fault(f"the body has {found} of the keys 'inputs' and 'instances'; send one of them"))
    rows = document[present[0]]
    if isinstance(rows, dict):
        return [rows]
    if not isinstance(rows, list):
        raise InvalidInput(Fault(f"{present[0]!r} is {kind_of(rows)}, expected a list of rows"))
    return [rows] if _is_single_row(rows, schema) else rows


def _is_single_row(rows: list[Any], schema: Schema) -> bool:
    lengths: list[int] = []
    inner: Any = rows
    while isinstance(inner, list) and inner:
        lengths.append(len(inner))
        inner = inner[0]
    if isinstance(inner, dict):
        return False
    return len(lengths) == 1 or (len(lengths) == len(schema.shape) and lengths[-1] == schema.shape[-1] != schema.width)


def _numbers_of(index: int, row: object, schema: Schema) -> list[float]:
    if isinstance(row, dict):
        values = _by_name(index, row, schema)
    elif isinstance(row, list):
        values = _flat(index, row, schema)
    else:
        raise InvalidInput(Fault(f"row {index} is {kind_of(row)}, expected {_expected(schema)}", row=index))
    return [column.number(index, value) for column, value in zip(schema.columns, values, strict=True)]


def _by_name(index: int, row: dict[str, Any], schema: Schema) -> list[Any]:
    if row.keys() != schema.names.keys():
        for column in schema.columns:
            if column.name not in row:
                all_of = f"all {schema.width}" + (", null for a missing value" if column.missing else "")
                detail = f"row {index} has no feature {column.name!r}; send {all_of}"
                raise InvalidInput(Fault(detail, index, column.name))
        name = next(name for name in row if name not in schema.names)
        shown = name[:60].encode(errors="backslashreplace").decode()  # JSON can hold halves of characters, UTF-8 not
        detail = f"row {index} has a feature {name!r:.60} that the model does not know; leave it out"
        raise InvalidInput(Fault(detail, index, shown))
    return [row[name] for name in schema.names]


def _flat(index: int, row: list[Any], schema: Schema) -> list[Any]:
    if not any(isinstance(value, list) for value in row):
        if len(row) != schema.width:
            raise InvalidInput(Fault(f"row {index} has {len(row)} values, expected {_expected(schema)}", row=index))
        return row
    level: list[Any] = [row]
    for length in schema.shape:
        for each in level:
            if not isinstance(each, list) or len(each) != length:
                found = f"{len(each)} values" if isinstance(each, list) else kind_of(each)
                raise InvalidInput(
                    Fault(f"row {index} has {found} where {length} belong; expected {_expected(schema)}", row=index)
                )
        level = [value for each in level for value in each]
    return level


def _expected(schema: Schema) -> str:
    nested = f" (or nested {' x '.join(map(str, schema.shape))})" if len(schema.shape) > 1 else ""
    return f"{schema.width} values{nested}"
