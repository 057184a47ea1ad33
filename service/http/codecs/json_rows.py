"""Decodes and checks rows in JSON.

The numbers of a regular request never become Python objects, see `regular_json`. Everything else (rows by feature name,
strings, nulls, wrong lengths) is parsed again by a slower path, which accepts it or reports the first error in reading
order. Large bodies are decoded in steps, none of which takes long.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs import fast_json, json_frames, regular_json
from service.http.codecs.json_frames import Entries
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_text import JsonText, TooLong
from service.http.codecs.regular_json import KEYS, SPLIT
from service.inference.columns import type_name
from service.inference.schema import Schema
from service.inference.steps import Steps, finish

_ALL_KEYS: Final = (*KEYS, SPLIT)
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
_STEP_ROWS: Final = 256


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
        rows = _regular_rows(body, schema, single=True)
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
            rows = yield from _rows(text, repr(key), reader, split=key == SPLIT)
        else:
            raise InvalidInput(Fault(f"the body has both of the keys {key!r} and {name!r}; send one of them"))
    yield from _end(text)
    if rows is not None:
        return rows
    if not json_frames.is_split(found, reader) and reader.schema.names.keys().isdisjoint(found):
        others = ", ".join(map(repr, _ALL_KEYS[1:]))
        detail = f"the body has no key {KEYS[0]!r} (or {others}), and no feature of the model"
        raise InvalidInput(Fault(f"{detail}; send {_EXPECTED}"))
    text.seek(text.start)
    return (yield from _table(text, found, reader))


def _end(text: JsonText) -> Steps[None]:
    if (yield from text.next()):
        raise text.error("extra data")


# Small bodies without errors


def _regular_rows(body: bytes, schema: Schema, *, single: bool) -> NDArray[np.float64] | None:
    """Rows of numbers, or one row if it may be ``single``; None if there is anything else."""
    values = regular_json.array(body)
    if values is None:
        return None
    flat = (schema.width,)
    if values.shape[1:] not in (flat, schema.shape) and not (single and values.shape in (flat, schema.shape)):
        return None
    rows = values.reshape(-1, schema.width)
    return rows if len(rows) <= schema.max_rows and schema.fits(rows.reshape(-1)) else None


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
            found, split = document[keys[0]], keys[0] == SPLIT
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
                    if index % _STEP_ROWS == 0:  # short rows, all of them bad
                        yield
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
    block = _regular_rows(rows, schema, single=False) if is_numeric else None
    if block is None:
        found = fast_json.decoded_fast(rows)
        block = None if found is None else reader.at_once(found)
    if block is not None:
        text.skip(end)
    return block
