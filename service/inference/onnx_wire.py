"""Whether an ONNX graph keeps numbers in other files, read from its bytes: ONNX Runtime opens such files unasked.

It takes their places from the graph, relative to the working directory, and no hash covers them. Only the fields that
can hold a tensor are followed; all else, the weights too, is stepped over. https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_FIXED32: Final = 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_DEPTH: Final = 100  # of messages in each other, as protobuf's own

_TENSOR: Final = "TensorProto"
# Of each message, the fields that are messages and can hold a tensor, by number:
# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_FIELDS: Final[dict[str, dict[int, str]]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": dict.fromkeys((5, 10), _TENSOR)
    | dict.fromkeys((6, 11), "GraphProto")
    | dict.fromkeys((22, 23), "SparseTensorProto"),
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14


class NotOnnxError(Exception):
    """The bytes are no message of protobuf."""


def has_external_data(model: bytes) -> bool:
    """Whether a tensor anywhere in ``model`` (in subgraphs, functions, attributes) lies in another file, or in memory.

    Raises `NotOnnxError` where the bytes cannot be read so.
    """
    open_messages = [("ModelProto", _fields(memoryview(model)))]
    while open_messages:
        message, fields = open_messages[-1]
        for number, value in fields:
            if message is _TENSOR and _is_external(number, value):
                return True
            if number in _FIELDS[message] and not isinstance(value, int):
                open_messages.append((_FIELDS[message][number], _fields(value)))
                break
        else:
            open_messages.pop()
        if len(open_messages) > _MAX_DEPTH:
            raise NotOnnxError(f"messages are nested more than {_MAX_DEPTH} deep")
    return False


def _is_external(number: int, value: int | memoryview) -> bool:
    if isinstance(value, int):
        return number == _DATA_LOCATION and value != 0
    return number == _EXTERNAL_DATA


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: number, and value, an integer where it is a varint. Fixed ones are stepped over."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, kind = (tag & 0xFFFFFFFF) >> 3, tag & 7  # a tag has 32 bits, whatever is written beyond
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _LENGTH:
            size, at = _varint(content, at)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise NotOnnxError(f"wire type {kind} is none of ONNX")  # groups, which ONNX has not
        end = at + size
        if end > len(content):
            raise NotOnnxError("a field is longer than what is there")
        if kind == _LENGTH:
            yield number, content[at:end]
        at = end


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    number = 0
    for place, byte in enumerate(content[at : at + 10]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise NotOnnxError("a number does not end")
