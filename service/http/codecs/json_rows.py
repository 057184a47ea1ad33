"""Decodes and checks rows in JSON.

The numbers of a regular request never become Python objects: simdjson writes them into one buffer. Everything else
(rows by feature name, strings, nulls, wrong lengths) is parsed again by a slower path, which accepts it or reports the
first error in reading order. Large bodies are decoded in steps, none of which takes long.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import simdjson
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs.json_text import DECODER, JsonText, TooLong, repeated
from service.inference.columns import type_name
from service.inference.schema import Schema
from service.inference.steps import Steps, finish

_KEYS: Final = ("inputs", "instances")
# What simdjson parses in 2 ms at most, and what the standard library usually does.
_WHOLE_BYTES: Final = 256 * 1024
_PLAIN_BYTES: Final = 32 * 1024
_PIECE_BYTES: Final = 128 * 1024
# The longest value or row in a body that is decoded in steps.
_LONGEST_BYTES: Final = 128 * 1024
_LONGEST_VALUE_BYTES: Final = 256
_MOST_KEYS: Final = 100
_STEP_VALUES: Final = 4096


def rows_from_json(body: bytes, schema: Schema) -> NDArray[np.float64]:
    """Rows of a JSON document ``{"inputs": X}`` or ``{"instances": X}`` as float64 (rows, features).

    X is a list of rows, or one row. A row is flat, nested to the model's shape, or an object by feature name. Every
    value returned is finite as float32, or NaN for a missing value. Raises `MalformedBody` if the body is not JSON or
    an object has a duplicate key, and `InvalidInput`, naming the first bad row and feature, if the rows do not fit the
    model.
    """
    rows = quick_rows(body, schema)
    return finish(rows_in_steps(body, schema)) if rows is None else rows


def quick_rows(body: bytes, schema: Schema) -> NDArray[np.float64] | None:
    """The same for a small body without errors; None if it needs `rows_in_steps`."""
    rows = None
    if schema.numeric and len(body) <= _WHOLE_BYTES:
        rows = _regular_rows(body, schema)
    if rows is None and len(body) <= _PLAIN_BYTES:
        rows = _plain_rows(body, schema)
    return rows


def rows_in_steps(body: bytes, schema: Schema) -> Steps[NDArray[np.float64]]:
    """The same as `rows_from_json`, for any body, in steps."""
    longest_bytes = max(_LONGEST_BYTES, _LONGEST_VALUE_BYTES * schema.width)
    text = JsonText(body, longest_bytes)
    if (yield from text.next()) == "[":
        raise _no_object("a list")
    rows = None
    try:
        if (yield from text.next()) != "{":
            raise _no_object(type_name((yield from text.value())))
        keys: set[str] = set()
        while (key := (yield from _key(text, keys))) is not None:
            if key not in _KEYS:
                yield from text.value()
            elif rows is None:
                rows = yield from _rows(text, key, schema, len(body))
            else:
                raise InvalidInput(Fault("the body has both of the keys 'inputs' and 'instances'; send one of them"))
    except TooLong:
        what = "a key or value beside the rows"
        raise InvalidInput(Fault(f"{what} takes more than {longest_bytes} bytes; leave it out")) from None
    if (yield from text.next()):
        raise text.error("extra data")
    if rows is None:
        raise InvalidInput(Fault("the body has neither of the keys 'inputs' and 'instances'; send one of them"))
    schema.check_count(len(rows))
    schema.check_pixels(rows)
    return rows


def _key(text: JsonText, keys: set[str]) -> Steps[str | None]:
    """The next key of the body's object, added to ``keys``; None at the end of the object."""
    if not keys:
        yield from text.read("{", "'{'")
        if (yield from text.next()) == "}":
            yield from text.read("}", "'}'")
            return None
    elif not (yield from text.another("}")):
        return None
    if (yield from text.next()) != '"':
        raise text.error("expecting property name enclosed in double quotes")
    key: str = yield from text.value()
    if key in keys:
        raise repeated(key)
    keys.add(key)
    if len(keys) > _MOST_KEYS:
        raise InvalidInput(Fault(f"the body's object has more than {_MOST_KEYS} keys; send 'inputs' alone"))
    yield from text.read(":", "':' delimiter")
    return key


def _no_object(found: str) -> InvalidInput:
    return InvalidInput(Fault(f'the body is {found}, expected an object {{"inputs": [row, …]}}'))


# Small bodies without errors


def _regular_rows(body: bytes, schema: Schema) -> NDArray[np.float64] | None:
    """Rows of numbers; None if there is anything else."""
    try:
        document: Any = simdjson.Parser().parse(body)
        keys = list(document)
        (key,) = [key for key in keys if key in _KEYS]
        if len(keys) > 1 and len(set(keys)) < len(keys):
            return None
        return _regular(document[key], body, schema, single=True)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return None


def _regular(array: Any, text: bytes, schema: Schema, *, single: bool) -> NDArray[np.float64] | None:
    """Rows of numbers in an array and its ``text``, or one row if ``single``; None if there is anything else."""
    dimensions = _dimensions(array)
    width, shape = schema.width, schema.shape
    flat = (width,)
    if dimensions[1:] not in (flat, shape) and not (single and dimensions in (flat, shape)):
        return None
    # as_buffer flattens, so a row of 783 numbers followed by one of 785 would pass without a check that each array has
    # its length, and that there are no others.
    arrays = _arrays_in(dimensions)
    if not _opens(text, arrays) or (arrays > len(dimensions) and not _is_regular(array, dimensions)):
        return None
    values: NDArray[np.float64] = np.frombuffer(array.as_buffer(of_type="d"))
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
    """Whether a JSON text has exactly ``arrays`` opening brackets."""
    # For long rows, find is several times as fast as count, which goes byte by byte.
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


def _plain_rows(body: bytes, schema: Schema) -> NDArray[np.float64] | None:
    """A list of rows, or one row by name; None if there is anything else, or an error."""
    try:
        document = DECODER.decode(body.decode())
        (rows,) = [document[key] for key in _KEYS if key in document]
        if isinstance(rows, dict):
            rows = [rows]
        if not 0 < len(rows) <= schema.max_rows or _is_single(rows, schema):
            return None
        result = np.empty((len(rows), schema.width))
        for index, row in enumerate(rows):
            result[index] = _numbers_of(index, row, schema)
        schema.check_pixels(result)
    except (ValueError, TypeError, RecursionError, MalformedBody, InvalidInput):
        return None
    return result


# Any body, in steps


def _rows(text: JsonText, key: str, schema: Schema, body_bytes: int) -> Steps[NDArray[np.float64]]:
    """The rows in the value of ``key``."""
    first = yield from text.next()
    if first == "{":
        row = yield from _row(text, 0, schema)
        return np.array([_numbers_of(0, row, schema)], np.float64)
    if first != "[":
        raise InvalidInput(Fault(f"{key!r} is {type_name((yield from text.value()))}, expected a list of rows"))
    yield from text.read("[", "'['")
    if (yield from text.next()) == "]":
        yield from text.read("]", "']'")
        return np.empty((0, schema.width))
    row = yield from _row(text, 0, schema)
    more = yield from text.another("]")
    if _is_single([row], schema):
        row = yield from _rest_of_row(text, row, schema, more=more)
        return np.array([_numbers_of(0, row, schema)], np.float64)
    # An upper bound of the count: no row is shorter. Pages that are not written take no memory.
    rows = np.empty((min(schema.max_rows, body_bytes // (2 * schema.width) + 1), schema.width))
    rows[0] = _numbers_of(0, row, schema)
    count = 1
    by_blocks, one_by_one_to_byte = schema.numeric and body_bytes > _WHOLE_BYTES, 0
    ends, byte_ends = re.compile(_ends(row)), re.compile(_ends(row).encode())
    while more:
        if by_blocks and text.at_byte >= one_by_one_to_byte:
            block = yield from _block(text, byte_ends, schema)
            if block is None:
                one_by_one_to_byte = text.at_byte + _PIECE_BYTES
                continue
            _check_room(count + len(block), schema)
            rows[count : count + len(block)] = block
            count += len(block)
        else:
            found = [(yield from _row(text, count, schema)), *text.values_at_hand(ends)]
            for row in found:
                _check_room(count + 1, schema)
                rows[count] = _numbers_of(count, row, schema)
                count += 1
        more = yield from text.another("]")
        yield
    return rows[:count]


def _check_room(count: int, schema: Schema) -> None:
    if count > schema.max_rows:
        detail = f"there are more than {schema.max_rows} rows, the most that are accepted; send several requests"
        raise InvalidInput(Fault(detail))


def _row(text: JsonText, index: int, schema: Schema) -> Steps[Any]:
    try:
        return (yield from text.value())
    except TooLong:
        longest_bytes = max(_LONGEST_BYTES, _LONGEST_VALUE_BYTES * schema.width)
        detail = f"row {index} takes more than {longest_bytes} bytes, expected {_expected(schema)}"
        raise InvalidInput(Fault(detail, row=index)) from None


def _rest_of_row(text: JsonText, first: object, schema: Schema, *, more: bool) -> Steps[list[Any]]:
    """A complete row that is not in a list of rows, given its first element."""
    row, most = [first], schema.shape[0] if isinstance(first, list) else schema.width
    while more:
        row.append((yield from _row(text, 0, schema)))
        if len(row) > most:
            raise InvalidInput(Fault(f"row 0 has more than {most} values, expected {_expected(schema)}", row=0))
        more = yield from text.another("]")
        if len(row) % _STEP_VALUES == 0:
            yield
    return row


def _ends(row: object) -> str:
    """A pattern for the end of a row like this one, before the next row or the end of the list."""
    brackets = [r"\}"] if isinstance(row, dict) else []
    while isinstance(row, list):
        brackets.append(r"\]")
        row = row[0] if row else None
    # Brackets one by one: a repeated group is slow to search.
    return "".join(f"{bracket}[ \\t\\n\\r]*+" for bracket in brackets) + r"(?=[,\]])"


def _block(text: JsonText, ends: re.Pattern[bytes], schema: Schema) -> Steps[NDArray[np.float64] | None]:
    """The rows of numbers in the next piece of the text; None if it has to be parsed value by value.

    The end of the piece is a guess, which is right if the piece parses.
    """
    yield from text.next()
    piece = text.window(max(_PIECE_BYTES, 32 * schema.width))
    last = None
    for last in ends.finditer(piece):  # noqa: B007 - the last match is used
        pass
    if last is None:
        return None
    end = last.end()
    rows = b"[%b]" % piece[:end]
    try:
        block = _regular(simdjson.Parser().parse(rows), rows, schema, single=False)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return None
    if block is not None:
        text.skip(end)
    return block


def _is_single(rows: list[Any], schema: Schema) -> bool:
    """Whether a list is one row rather than a list of rows, judging by its first element."""
    lengths = [0]
    inner: Any = rows[0]
    while isinstance(inner, list) and inner:
        lengths.append(len(inner))
        inner = inner[0]
    if isinstance(inner, list | dict):
        return False
    return len(lengths) == 1 or (len(lengths) == len(schema.shape) and lengths[-1] == schema.shape[-1] != schema.width)


def _numbers_of(index: int, row: object, schema: Schema) -> list[float]:
    if isinstance(row, dict):
        values = _by_name(index, row, schema)
    elif isinstance(row, list):
        values = _flat(index, row, schema)
    else:
        raise InvalidInput(Fault(f"row {index} is {type_name(row)}, expected {_expected(schema)}", row=index))
    return [column.number(index, value) for column, value in zip(schema.columns, values, strict=True)]


def _by_name(index: int, row: dict[str, Any], schema: Schema) -> list[Any]:
    if row.keys() != schema.names.keys():
        for column in schema.columns:
            if column.name not in row:
                all_of = f"all {schema.width}" + (", null for a missing value" if column.missing else "")
                detail = f"row {index} has no feature {column.name!r}; send {all_of}"
                raise InvalidInput(Fault(detail, index, column.name))
        name = next(name for name in row if name not in schema.names)
        shown = name[:60].encode(errors="backslashreplace").decode()  # JSON can contain lone surrogates, UTF-8 cannot
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
                found = f"{len(each)} values" if isinstance(each, list) else type_name(each)
                raise InvalidInput(
                    Fault(f"row {index} has {found} where {length} belong; expected {_expected(schema)}", row=index)
                )
        level = [value for each in level for value in each]
    return level


def _expected(schema: Schema) -> str:
    nested = f" (or nested {' x '.join(map(str, schema.shape))})" if len(schema.shape) > 1 else ""
    return f"{schema.width} values{nested}"
