"""Detects in an ONNX graph what the service does not run, by parsing its protobuf encoding.

That is functions of its own, and tensors that are stored in other files.

ONNX Runtime would open such files by paths in the graph, relative to the working directory, and no hash covers them.
Only fields that can contain a tensor are parsed; all others, weights included, are skipped.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_FIXED32: Final = 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_DEPTH: Final = 100  # of nested messages, as in protobuf itself

_TENSOR: Final = "TensorProto"
# The fields of each message that are messages and can contain a tensor, by number:
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
_FUNCTIONS: Final = 25
_EXTERNAL_DATA: Final = 13
_DATA_LOCATION: Final = 14


class NotOnnxError(Exception):
    """The bytes are not a protobuf message."""


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of ``model``, also in subgraphs, functions and attributes, is stored outside of it.

    Raises `NotOnnxError` if the bytes cannot be parsed.
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


def defines_functions(model: bytes) -> bool:
    """Whether ``model`` has functions of its own. Raises `NotOnnxError` if the bytes cannot be parsed."""
    return any(number == _FUNCTIONS for number, _ in _fields(memoryview(model)))


def _is_external(number: int, value: int | memoryview) -> bool:
    if isinstance(value, int):
        return number == _DATA_LOCATION and value != 0
    return number == _EXTERNAL_DATA


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and value of each field; the value of a varint is an integer. Fixed-size fields are skipped."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, wire_type = (tag & 0xFFFFFFFF) >> 3, tag & 7  # a tag has 32 bits; others are ignored
        if wire_type == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire_type == _LENGTH:
            size, at = _varint(content, at)
        elif wire_type in _FIXED_BYTES:
            size = _FIXED_BYTES[wire_type]
        else:
            raise NotOnnxError(f"wire type {wire_type} is none of ONNX")  # a group
        end = at + size
        if end > len(content):
            raise NotOnnxError("a field is longer than what is there")
        if wire_type == _LENGTH:
            yield number, content[at:end]
        at = end


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """The varint at index ``at``, and the index after it."""
    number = 0
    for index, byte in enumerate(content[at : at + 10]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    raise NotOnnxError("a number does not end")
