"""How large an Arrow stream is once it is decompressed, read from its messages before anything is allocated.

https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format and
https://github.com/apache/arrow/blob/main/format/Message.fbs; the tables in it are FlatBuffers:
https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from typing import Final

from service.errors import MalformedBody

SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_HEADER_TYPE, _HEADER = 1, 2  # fields of a Message
_DATA = 1  # of a DictionaryBatch
_BUFFERS, _COMPRESSION = 2, 3  # of a RecordBatch
_LENGTH: Final = struct.Struct("<q")  # before a compressed buffer; -1 if it is not compressed after all
_AS_IT_IS: Final = -1


def header_type(metadata: bytes) -> int:
    """What a message is: `SCHEMA`, `DICTIONARY`, `BATCH`, or something else. Raises `MalformedBody`."""
    try:
        at = _field(metadata, _root(metadata), _HEADER_TYPE)
        return metadata[at] if at else 0
    except (struct.error, IndexError) as error:
        raise _malformed() from error


def decoded_bytes(metadata: bytes, body: memoryview) -> int:
    """The bytes that the buffers of a message take in memory. Raises `MalformedBody`."""
    try:
        table = _table(metadata, _root(metadata), _HEADER)
        if header_type(metadata) == DICTIONARY:
            table = _table(metadata, table, _DATA)
        compressed = _field(metadata, table, _COMPRESSION) != 0
        vector = _table(metadata, table, _BUFFERS)
        (count,) = struct.unpack_from("<I", metadata, vector)
        if vector + 4 + 16 * count > len(metadata):
            raise _malformed()
        places = struct.iter_unpack("<qq", metadata[vector + 4 : vector + 4 + 16 * count])
        return sum(_size(body, offset, length, compressed=compressed) for offset, length in places)
    except (struct.error, IndexError) as error:
        raise _malformed() from error


def _size(body: memoryview, offset: int, length: int, *, compressed: bool) -> int:
    if offset < 0 or length < 0 or offset + length > len(body):
        raise _malformed()
    if not compressed or length < _LENGTH.size:
        return length
    (size,) = _LENGTH.unpack_from(body, offset)
    if size < _AS_IT_IS:
        raise _malformed()
    return length if size == _AS_IT_IS else int(size)


def _root(metadata: bytes) -> int:
    return _checked(struct.unpack_from("<I", metadata, 0)[0])


def _table(metadata: bytes, table: int, field: int) -> int:
    """The table or vector that a ``field`` refers to."""
    at = _field(metadata, table, field)
    if not at:
        raise _malformed()
    return _checked(at + struct.unpack_from("<I", metadata, at)[0])


def _field(metadata: bytes, table: int, field: int) -> int:
    """The position of a ``field`` of a table; 0 if it has its default."""
    layout = _checked(table - struct.unpack_from("<i", metadata, table)[0])
    (size,) = struct.unpack_from("<H", metadata, layout)
    place = 4 + 2 * field
    if place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, layout + place)
    return _checked(table + offset) if offset else 0


def _checked(position: int) -> int:
    """``position``, unless it would count from the end in Python."""
    if position < 0:
        raise _malformed()
    return position


def _malformed() -> MalformedBody:
    return MalformedBody("the body is no Arrow stream: a message of it is damaged")
