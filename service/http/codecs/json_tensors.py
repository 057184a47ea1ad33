"""The ``data`` of tensors in JSON: found in a document, and read as numbers.

A document is split into its skeleton, with an empty list in the place of each tensor's data, and the text of the data.
Clients repeat the skeleton, so what it says can be cached; and the data never become Python objects if all of them are
numbers. Data are flat, or nested to the tensor's shape. Everything is done in steps, none of which takes long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs import regular_json
from service.http.codecs.json_text import JsonText, TooLong
from service.inference.columns import type_name
from service.inference.steps import Steps, finish
from service.inference.tensors import shape_text

Convert = Callable[[int, object], float]

_KEY: Final = b'"data"'
_ARRAY: Final = re.compile(rb'"data"[ \t\r\n]{0,99}:[ \t\r\n]{0,99}\[')
_STRUCTURE: Final = re.compile(rb'["\[\]]')
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONGEST_BYTES: Final = 128 * 1024
_BYTES_PER_VALUE: Final = 256
# What is parsed at once, in 2 ms at most.
_WHOLE_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 128 * 1024
_STEP_LISTS: Final = 2000
_STEP_VALUES: Final = 4096
_SPACE: Final = b" \t\r\n"
_WITHOUT_BRACKETS: Final = bytes.maketrans(b"[]", b"  ")
_ELEMENT_ENDS: Final = re.compile(r"(?:\][ \t\n\r]*+)?(?=[,\]])")
_OPEN, _CLOSE, _COMMA = b"[],"


class Split(NamedTuple):
    """A document's skeleton, and the text of each list that was a value of a key ``data``, in their order."""

    skeleton: bytes
    data: list[bytes]


def split_at_once(text: bytes, most: int) -> Split:
    """`split` for a small document."""
    at = text.find(_KEY)
    if at < 0:
        return Split(text, [])
    match = _ARRAY.match(text, at)
    if match is not None and text[at - 1 : at] != b"\\":
        # The one list of flat numbers that most requests have.
        start = match.end() - 1
        end = text.find(b"]", start) + 1
        data = text[start:end]
        if end and data.find(b"[", 1) < 0 and data.find(b'"') < 0 and text.find(_KEY, end) < 0:
            return Split(b"%b[]%b" % (text[:start], text[end:]), [data])
    return finish(split(text, most))


def split(text: bytes, most: int) -> Steps[Split]:
    """Split a JSON document. Raises `MalformedBody` if a list does not end; other errors are left in the skeleton.

    Raises `InvalidInput` for more than ``most`` lists of data.
    """
    skeleton, data, at, search_from, count = [], [], 0, 0, 0
    while (found := text.find(_KEY, search_from)) >= 0:
        match = _ARRAY.match(text, found)
        # A quotation mark within a string comes after a backslash.
        if match is None or text[found - 1 : found] == b"\\":
            search_from = found + len(_KEY)
        else:
            start = match.end() - 1
            end = yield from _end_of_list(text, start)
            skeleton += [text[at:start], b"[]"]
            data.append(text[start:end])
            if len(data) > most:
                raise InvalidInput(
                    Fault(f"there are more than {most} lists under the key 'data'; send one per feature")
                )
            at = search_from = end
        count += 1
        if count % _STEP_LISTS == 0:
            yield
    return Split(b"".join([*skeleton, text[at:]]), data)


def numbers_at_once(text: bytes, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """The numbers (n,) in the ``text`` of a list of this ``shape``; None if it is large, or has anything else."""
    if len(text) > _WHOLE_BYTES:
        return None
    is_nested = text.find(b"[", 1) >= 0
    values = regular_json.array(_flat_text(text) if is_nested else text)
    if values is None or len(values) != math.prod(shape):
        return None
    return values if not is_nested or _has_brackets(text, _periods(shape), 0, len(values)) else None


def read(text: bytes, shape: tuple[int, ...], convert: Convert, *, numeric: bool) -> Steps[NDArray[np.float64]]:
    """The values (n,) in the ``text`` of a list of this ``shape``, each made a number by ``convert``.

    If the datatype is ``numeric``, lists of numbers are read faster. Raises `MalformedBody` and `InvalidInput`.
    """
    count = math.prod(shape)
    if 2 * count > len(text):  # checked before anything is allocated
        raise _wrong_count(shape, "has fewer")
    if numeric:
        values = numbers_at_once(text, shape)
        if values is None and len(text) > _WHOLE_BYTES:
            values = yield from _numbers_in_pieces(text, shape)
        if values is not None:
            return values
    return (yield from _values_one_by_one(text, shape, convert))


def _end_of_list(text: bytes, start: int) -> Steps[int]:
    """The index after the list that begins at ``start``."""
    depth, at, count = 0, start, 0
    while True:
        close = text.find(b"]", at)
        if close < 0:
            raise MalformedBody("the body is not JSON: a list in 'data' does not end")
        if text.find(b'"', at, close) >= 0:
            return (yield from _end_beyond_strings(text, start))
        depth += text.count(b"[", at, close) - 1
        at = close + 1
        if depth <= 0:
            return at
        count += 1
        if count % _STEP_LISTS == 0:
            yield


def _end_beyond_strings(text: bytes, start: int) -> Steps[int]:
    """The same for a list with strings, in which brackets do not count."""
    depth, at, count = 0, start, 0
    while True:
        match = _STRUCTURE.search(text, at, at + _PIECE_BYTES)
        if match is None:
            at += _PIECE_BYTES
            if at >= len(text):
                raise MalformedBody("the body is not JSON: a list in 'data' does not end")
        elif match[0] == b'"':
            string = _STRING.match(text, match.start(), match.start() + _LONGEST_BYTES)
            if string is None:
                detail = f"a string in 'data' does not end, or takes more than {_LONGEST_BYTES} bytes"
                raise MalformedBody(f"{detail}; send shorter ones")
            at = string.end()
        else:
            depth += 1 if match[0] == b"[" else -1
            at = match.end()
            if depth == 0:
                return at
        count += 1
        if count % _STEP_LISTS == 0:
            yield


def _flat_text(text: bytes) -> bytes:
    """A list of what is in ``text``, a list or a part of one, in lists or not."""
    return b"[%b]" % text.translate(_WITHOUT_BRACKETS)


def _periods(shape: tuple[int, ...]) -> list[int]:
    """How many values the lists at each depth have."""
    return [math.prod(shape[axis:]) for axis in range(len(shape))]


def _numbers_in_pieces(text: bytes, shape: tuple[int, ...]) -> Steps[NDArray[np.float64] | None]:
    """The numbers of a large list; None if it has anything else."""
    count = math.prod(shape)
    nested = text[1:_PIECE_BYTES].lstrip(_SPACE).startswith(b"[")
    periods = _periods(shape) if nested else [count]
    values, filled, at = np.empty(count), 0, 0
    while at < len(text):
        end = len(text) if len(text) - at <= _PIECE_BYTES else text.rfind(b",", at, at + _PIECE_BYTES)
        if end < 0:
            return None
        piece = text[at:end]
        block = regular_json.array(_flat_text(piece))
        if block is None or len(block) > count - filled or not _has_brackets(piece, periods, filled, len(block)):
            return None
        values[filled : filled + len(block)] = block
        filled += len(block)
        at = end + 1
        yield
    return values if filled == count else None


def _has_brackets(piece: bytes, periods: list[int], first: int, count: int) -> bool:
    """Whether a piece with the values ``first`` to ``first + count`` has its brackets where lists begin and end.

    Lists of ``periods`` values each begin before a value whose index is a multiple of it, and end after the last one.
    """
    marks = np.frombuffer(piece.translate(None, _SPACE), np.uint8)
    opens, closes, commas = (np.flatnonzero(marks == mark) for mark in (_OPEN, _CLOSE, _COMMA))
    before = np.append(marks, _COMMA)[opens - 1]  # of the first mark, the comma before the piece
    after = np.append(marks, _COMMA)[closes + 1]
    if not (((before == _OPEN) | (before == _COMMA)).all() and ((after == _CLOSE) | (after == _COMMA)).all()):
        return False
    begun = first + np.searchsorted(commas, opens)
    ended = first + np.searchsorted(commas, closes) + 1
    return np.array_equal(begun, _multiples(periods, first, first + count)) and np.array_equal(
        ended, _multiples(periods, first + 1, first + count + 1)
    )


def _multiples(periods: list[int], first: int, end: int) -> NDArray[np.int64]:
    """The multiples of each of ``periods`` from ``first`` up to ``end``, sorted."""
    found = [np.arange(-(-first // period) * period, end, period, dtype=np.int64) for period in periods]
    return np.sort(np.concatenate(found))


def _values_one_by_one(text: bytes, shape: tuple[int, ...], convert: Convert) -> Steps[NDArray[np.float64]]:
    """Any list; it raises the first error in reading order."""
    count = math.prod(shape)
    values = np.empty(count)
    filled = 0
    longest_bytes = max(_LONGEST_BYTES, _BYTES_PER_VALUE * math.prod(shape[1:]))
    parser = JsonText(text, longest_bytes)
    yield from parser.read("[", "'['")
    if (yield from parser.next()) == "]":
        raise _wrong_count(shape, "is empty")
    is_nested, more = (yield from parser.next()) == "[", True
    while more:
        try:
            element = yield from parser.value()
        except TooLong:
            detail = f"an element of 'data' takes more than {longest_bytes} bytes"
            raise InvalidInput(Fault(f"{detail}; send flat data, or shorter strings")) from None
        for each in (element, *parser.values_at_hand(_ELEMENT_ENDS)):
            found = _flat(each, shape[1:]) if is_nested else [each]
            if filled + len(found) > count:
                raise _wrong_count(shape, "has more")
            for value in found:
                values[filled] = convert(filled, value)
                filled += 1
        more = yield from parser.another("]")
        yield
    if filled < count:
        raise _wrong_count(shape, "has fewer")
    return values


def _flat(element: object, shape: tuple[int, ...]) -> list[Any]:
    """The values of a nested element, in order. Raises `InvalidInput` unless it is nested to ``shape``."""
    level = [element]
    for length in shape:
        for each in level:
            if not isinstance(each, list) or len(each) != length:
                found = f"a list of {len(each)}" if isinstance(each, list) else type_name(each)
                raise InvalidInput(Fault(f"'data' has {found} where a list of {length} belongs; send it flat"))
        level = [value for each in level for value in each]  # type: ignore[attr-defined]
    return level


def _wrong_count(shape: tuple[int, ...], found: str) -> InvalidInput:
    expected = f"{math.prod(shape)} values, as its shape is {shape_text(shape)}"
    return InvalidInput(Fault(f"'data' {found}, expected {expected}"))
