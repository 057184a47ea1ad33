"""Protocol buffers' wire format: the fields of a message, read without copying them, and written.

Messages with tensors are read here: bytes become arrays without a copy, in steps if they are large, and a hostile
message cannot take more memory than its bytes. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from service.errors import MalformedBody

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES: Final = 10
_MAX_NUMBER: Final = 2**29 - 1
_UNSIGNED: Final = 2**64


class Field(NamedTuple):
    """One field: its number and wire type, and where its value is in the message's bytes."""

    number: int
    kind: int
    start: int
    end: int


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``data`` from ``start`` to ``end``. Raises `MalformedBody` at the first bad one."""
    at = start
    while at < end:
        key = data[at]
        first = at + 1
        if key > 127:
            key, first = varint(data, at, end)
        number, kind = key >> 3, key & 7
        if kind == BYTES:
            length, first = varint(data, first, end)
            at = first + length
        elif kind == VARINT:
            at = varint(data, first, end)[1]
        elif kind in _FIXED:
            at = first + _FIXED[kind]
        else:
            raise _malformed(f"field {number} has wire type {kind}")
        if at > end:
            raise _malformed(f"field {number} is longer than its message")
        if not 0 < number <= _MAX_NUMBER:
            raise _malformed(f"there is a field number {number}")
        yield Field(number, kind, first, at)


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The unsigned integer at ``at``, and where it ends. Raises `MalformedBody`."""
    if at < end and data[at] < 128:
        return data[at], at + 1
    value = 0
    for index in range(at, min(end, at + _MAX_VARINT_BYTES)):
        byte = data[index]
        value |= (byte & 0x7F) << 7 * (index - at)
        if byte < 128:
            return value % _UNSIGNED, index + 1
    raise _malformed("an integer has no end")


def text(data: bytes, field: Field) -> str:
    """The string of a field. Raises `MalformedBody`."""
    if field.kind != BYTES:
        raise _malformed(f"field {field.number} is no string")
    try:
        return data[field.start : field.end].decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"field {field.number} is not UTF-8") from error


def field(number: int, content: bytes) -> bytes:
    """A field of bytes: a string, a message, or packed numbers."""
    return b"".join((as_varint(number << 3 | BYTES), as_varint(len(content)), content))


def packed(values: Iterable[int]) -> bytes:
    """Integers as the content of a packed field."""
    return b"".join([as_varint(value % _UNSIGNED) for value in values])


def as_varint(value: int) -> bytes:
    """An unsigned integer."""
    if value < 128:
        return bytes((value,))
    found = bytearray()
    while value > 127:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _malformed(detail: str) -> MalformedBody:
    return MalformedBody(f"the message is not a protocol buffer of its type: {detail}; send it again")
