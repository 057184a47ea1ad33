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
from service.http.codecs import fast_json, json_frames
from service.http.codecs.json_frames import Entries
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_text import JsonText, TooLong
from service.inference.columns import type_name
from service.inference.schema import Schema
from service.inference.steps import Steps, finish

# The keys of rows: ours, TensorFlow Serving's and MLflow's; and MLflow's for a table in orient="split".
_KEYS: Final = ("inputs", "instances", "dataframe_records")
_SPLIT: Final = "dataframe_split"
_ALL_KEYS: Final = (*_KEYS, _SPLIT)
_EXPECTED: Final = 'an object {"inputs": [row, …]} or a list of rows'
# Numbers that are parsed in 2 ms at most, and other values that usually are.
_WHOLE_BYTES: Final = 256 * 1024
_AT_ONCE_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 128 * 1024
# The longest value or row in a body that is decoded in steps.
_LONGEST_BYTES: Final = 128 * 1024
_LONGEST_VALUE_BYTES: Final = 256
_MOST_KEYS: Final = 100
_STEP_VALUES: Final = 4096


def rows_from_json(body: bytes, schema: Schema) -> NDArray[np.float64]:
    """Rows of a JSON document as float64 (rows, features).

    The document is ``{"inputs": X}``; instead of ``inputs`` it may have ``instances``, ``dataframe_records`` or
    ``dataframe_split``. If it has none of these it is X itself. X is a list of rows, or one row, or a table as pandas
    writes it, see `json_frames`. A row is flat, nested to the model's shape, or an object by feature name. Every value
    returned is finite as float32, or NaN for a missing value. Raises `MalformedBody` if the body is not JSON or an
    object has a duplicate key, and `InvalidInput`, naming the first bad row and feature, if the rows do not fit the
    model.
    """
    rows = quick_rows(body, schema)
    return finish(rows_in_steps(body, RowReader(schema))) if rows is None else rows


def quick_rows(body: bytes, schema: Schema, *, ignore_unknown: bool = False) -> NDArray[np.float64] | None:
    """The same for a small body without errors; None if it needs `rows_in_steps`."""
    rows = None
    if schema.numeric and len(body) <= _WHOLE_BYTES:
        rows = _regular_rows(body, schema)
    if rows is None and len(body) <= _AT_ONCE_BYTES:
        rows = _rows_at_once(body, RowReader(schema, ignore_unknown=ignore_unknown))
    return rows


def rows_in_steps(body: bytes, reader: RowReader) -> Steps[NDArray[np.float64]]:
    """The same as `rows_from_json`, for any body, in steps. The ``reader`` says how rows are read."""
    schema = reader.schema
    longest_bytes = max(_LONGEST_BYTES, _LONGEST_VALUE_BYTES * schema.width)
    text = JsonText(body, longest_bytes)
    try:
        rows = yield from _document(text, reader)
    except TooLong:
        what = "a key or value beside the rows"
        raise InvalidInput(Fault(f"{what} takes more than {longest_bytes} bytes; leave it out")) from None
    schema.check_count(len(rows))
    schema.check_pixels(rows)
    return rows


def _document(text: JsonText, reader: RowReader) -> Steps[NDArray[np.float64]]:
    first = yield from text.next()
    if first == "[":
        listed = yield from _rows(text, "the body", reader)
        yield from _end(text)
        return listed
    if first != "{":
        raise InvalidInput(Fault(f"the body is {type_name((yield from text.value()))}, expected {_EXPECTED}"))
    found: Entries = {}
    key: str | None = None
    rows: NDArray[np.float64] | None = None
    while (name := (yield from json_frames.next_key(text, found, reader.schema.most_keys + _MOST_KEYS))) is not None:
        found[name] = yield from json_frames.position(text)
        if name not in _ALL_KEYS:
            yield from json_frames.skip(text)
        elif key is None:
            key = name
            rows = yield from _rows(text, repr(key), reader, split=key == _SPLIT)
        else:
            raise InvalidInput(Fault(f"the body has both of the keys {key!r} and {name!r}; send one of them"))
    yield from _end(text)
    if rows is not None:
        return rows
    if not json_frames.is_split(found, reader) and reader.schema.names.keys().isdisjoint(found):
        others = ", ".join(map(repr, _ALL_KEYS[1:]))
        detail = f"the body has no key {_KEYS[0]!r} (or {others}), and no feature of the model"
        raise InvalidInput(Fault(f"{detail}; send {_EXPECTED}"))
    text.seek(text.start)
    return (yield from _table(text, found, reader))


def _end(text: JsonText) -> Steps[None]:
    if (yield from text.next()):
        raise text.error("extra data")


# Small bodies without errors


def _regular_rows(body: bytes, schema: Schema) -> NDArray[np.float64] | None:
    """Rows of numbers; None if there is anything else."""
    try:
        document: Any = simdjson.Parser().parse(body)
        keys = list(document)
        (key,) = [key for key in keys if key in _KEYS]
        if len(keys) > 1 and (len(set(keys)) < len(keys) or _SPLIT in keys):
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


def _rows_at_once(body: bytes, reader: RowReader) -> NDArray[np.float64] | None:
    """The rows of a document; None if it has to be read in steps, or has an error."""
    try:
        rows = _read_at_once(fast_json.decoded(body), reader)
        if rows is None or not 0 < len(rows) <= reader.schema.max_rows:
            return None
        reader.schema.check_pixels(rows)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, MalformedBody, InvalidInput):
        return None
    return rows


def _read_at_once(document: Any, reader: RowReader) -> NDArray[np.float64] | None:
    found, split = document, False
    if isinstance(document, dict):
        keys = [key for key in _ALL_KEYS if key in document]
        if len(keys) > 1:
            return None
        if keys:
            found, split = document[keys[0]], keys[0] == _SPLIT
    if isinstance(found, dict):
        return json_frames.table_at_once(found, reader, split=split)
    if split:
        return None
    return reader.at_once([found] if reader.is_single(found) else found)


# Any body, in steps


def _rows(text: JsonText, what: str, reader: RowReader, *, split: bool = False) -> Steps[NDArray[np.float64]]:
    """The rows in the next value, for messages ``what``; a table in ``orient="split"`` if ``split``."""
    first = yield from text.next()
    if first == "{" and reader.places is None:
        at = yield from json_frames.position(text)
        found = yield from json_frames.entries(text, reader)
        end = text.at_byte
        text.seek(at)
        rows = yield from _table(text, found, reader, split=split)
        text.seek(end)
        return rows
    if first != "[" or split:
        expected = "an object with 'columns' and 'data'" if split else "a list of rows"
        raise InvalidInput(Fault(f"{what} is {type_name((yield from text.value()))}, expected {expected}"))
    yield from text.read("[", "'['")
    if (yield from text.next()) == "]":
        yield from text.read("]", "']'")
        return np.empty((0, reader.schema.width))
    return (yield from _list(text, reader))


def _table(text: JsonText, found: Entries, reader: RowReader, *, split: bool = False) -> Steps[NDArray[np.float64]]:
    """The rows of the next value, an object whose keys are ``found``: a table, or one row by feature name."""
    if split or json_frames.is_split(found, reader):
        return (yield from json_frames.split_rows(text, found, reader, _rows))
    start = yield from json_frames.position(text)
    for name in reader.schema.names:
        if name in found:
            text.seek(found[name])
            if (yield from text.next()) in ("[", "{"):
                return (yield from json_frames.column_rows(text, found, reader))
            break
    text.seek(start)
    row = yield from _row(text, 0, reader)
    return np.array([reader.numbers(0, row)], np.float64)


def _list(text: JsonText, reader: RowReader) -> Steps[NDArray[np.float64]]:
    """The rows in a list, after its opening bracket; it is not empty."""
    schema, body_bytes = reader.schema, text.size_bytes
    row = yield from _row(text, 0, reader)
    more = yield from text.another("]")
    if reader.is_single([row]):
        row = yield from _rest_of_row(text, row, reader, more=more)
        return np.array([reader.numbers(0, row)], np.float64)
    # An upper bound of the count: no row is shorter, unless it is bad or leaves features out. Pages that are not
    # written take no memory.
    may_be_short = reader.faults is not None or not reader.in_order or schema.nulls
    shortest_bytes = 2 if may_be_short else 2 * schema.width
    rows = np.empty((min(schema.max_rows, body_bytes // shortest_bytes + 1), schema.width))
    rows[0] = reader.numbers(0, row)
    count = 1
    # Of a small list, all was tried at once before.
    one_by_one_to_byte = 0 if body_bytes > _AT_ONCE_BYTES or reader.places is not None else body_bytes
    ends, byte_ends = re.compile(_ends(row)), re.compile(_ends(row).encode())
    while more:
        if text.at_byte >= one_by_one_to_byte:
            block = yield from _block(text, byte_ends, reader)
            if block is None:
                one_by_one_to_byte = text.at_byte + _PIECE_BYTES
                continue
            _check_room(count + len(block), schema)
            rows[count : count + len(block)] = block
            count += len(block)
        else:
            found = [(yield from _row(text, count, reader)), *text.values_at_hand(ends)]
            block = reader.at_once(found) if count + len(found) <= schema.max_rows else None
            if block is None:
                for index, row in enumerate(found, count):
                    _check_room(index + 1, schema)
                    rows[index] = reader.numbers(index, row)
            else:
                rows[count : count + len(found)] = block
            count += len(found)
        more = yield from text.another("]")
        yield
    return rows[:count]


def _check_room(count: int, schema: Schema) -> None:
    if count > schema.max_rows:
        detail = f"there are more than {schema.max_rows} rows, the most that are accepted; send several requests"
        raise InvalidInput(Fault(detail))


def _row(text: JsonText, index: int, reader: RowReader) -> Steps[Any]:
    try:
        return (yield from text.value())
    except TooLong:
        longest_bytes = max(_LONGEST_BYTES, _LONGEST_VALUE_BYTES * reader.schema.width)
        detail = f"row {index} takes more than {longest_bytes} bytes, expected {reader.expected}"
        raise InvalidInput(Fault(detail, row=index)) from None


def _rest_of_row(text: JsonText, first: object, reader: RowReader, *, more: bool) -> Steps[list[Any]]:
    """A complete row that is not in a list of rows, given its first element."""
    row, most = [first], reader.schema.shape[0] if isinstance(first, list) else reader.schema.width
    while more:
        row.append((yield from _row(text, 0, reader)))
        if len(row) > most:
            raise InvalidInput(Fault(f"row 0 has more than {most} values, expected {reader.expected}", row=0))
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


def _block(text: JsonText, ends: re.Pattern[bytes], reader: RowReader) -> Steps[NDArray[np.float64] | None]:
    """The rows in the next piece of the text; None if it has to be parsed value by value.

    The end of the piece is a guess, which is right if the piece parses.
    """
    yield from text.next()
    schema = reader.schema
    is_numeric = schema.numeric and reader.in_order
    piece = text.window(max(_PIECE_BYTES if is_numeric else _AT_ONCE_BYTES, 32 * schema.width))
    last = None
    for last in ends.finditer(piece):  # noqa: B007 - the last match is used
        pass
    if last is None:
        return None
    end = last.end()
    rows = b"[%b]" % piece[:end]
    block = _block_of_numbers(rows, schema) if is_numeric else None
    if block is None:
        found = fast_json.decoded_fast(rows)
        block = None if found is None else reader.at_once(found)
    if block is not None:
        text.skip(end)
    return block


def _block_of_numbers(rows: bytes, schema: Schema) -> NDArray[np.float64] | None:
    try:
        return _regular(simdjson.Parser().parse(rows), rows, schema, single=False)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return None
