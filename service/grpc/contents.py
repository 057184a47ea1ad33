"""Typed contents of tensors: repeated fields of numbers and strings, packed or not, to arrays and back."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.grpc import wire
from service.grpc.wire import Field
from service.inference.steps import Steps
from service.inference.tensors import BOOL, BYTES, DTYPES, Tensor


class _Typed(NamedTuple):
    """The field for the values of a datatype."""

    number: int
    name: str
    kind: int


_BOOLS: Final = _Typed(1, "bool_contents", wire.VARINT)
_INTS: Final = _Typed(2, "int_contents", wire.VARINT)
_UINTS: Final = _Typed(4, "uint_contents", wire.VARINT)
_TYPED: Final[Mapping[str, _Typed]] = {
    BOOL: _BOOLS,
    **dict.fromkeys(("INT8", "INT16", "INT32"), _INTS),
    "INT64": _Typed(3, "int64_contents", wire.VARINT),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), _UINTS),
    "UINT64": _Typed(5, "uint64_contents", wire.VARINT),
    "FP32": _Typed(6, "fp32_contents", wire.FIXED32),
    "FP64": _Typed(7, "fp64_contents", wire.FIXED64),
    BYTES: _Typed(8, "bytes_contents", wire.BYTES),
}
_NAMES: Final = {typed.number: typed.name for typed in _TYPED.values()}
_STEP_FIELDS: Final = 2000
_STEP_BYTES: Final = 64 * 1024
_MAX_VARINT_BYTES: Final = 10
_LENGTH: Final = struct.Struct("<I")


def numbers(tensor: Tensor, data: bytes, found: Sequence[Field]) -> Steps[NDArray[Any]]:
    """The values (n,) of a numeric tensor with the contents in ``found``, fields of ``data``. Raises `RequestError`."""
    typed = _typed(tensor)
    packed = yield from _packed(tensor, data, found, typed)
    count = math.prod(tensor.shape)
    if typed.kind == wire.VARINT:
        return (yield from _integers(tensor, packed, count))
    dtype = DTYPES[tensor.datatype]
    if len(packed) != count * dtype.itemsize:
        raise _wrong_count(tensor, len(packed) // dtype.itemsize)
    return np.frombuffer(packed, dtype)


def texts(
    tensor: Tensor, data: bytes, found: Sequence[Field], convert: Callable[[int, object], float]
) -> Steps[NDArray[np.float64]]:
    """The strings (n,) of a BYTES tensor, each made a number by ``convert``. Raises `RequestError`."""
    count, index = math.prod(tensor.shape), 0
    if count > len(data):  # checked before anything is allocated
        raise _wrong_count(tensor, 0)
    values = np.empty(count)
    for each in _values(tensor, data, found, _typed(tensor)):
        if each is None:
            yield
            continue
        if index == count:
            raise _wrong_count(tensor, index + 1)
        try:
            values[index] = convert(index, data[each.start : each.end].decode())
        except UnicodeDecodeError as error:
            raise InvalidInput(Fault(f"input {tensor.name!r:.60}, value {index} is not UTF-8")) from error
        index += 1
    if index != count:
        raise _wrong_count(tensor, index)
    return values


def of_raw(datatype: str, raw: bytes) -> bytes:
    """A part of an output, given as raw bytes, as fields of its contents."""
    number = _TYPED[datatype].number
    if datatype == BYTES:
        return b"".join([wire.field(number, each) for each in _strings(raw)])
    if datatype == "INT64":
        return wire.field(number, wire.packed(np.frombuffer(raw, DTYPES[datatype]).tolist()))
    return wire.field(number, raw)


def _strings(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(raw, at)[0]
        yield raw[start:at]


def _typed(tensor: Tensor) -> _Typed:
    typed = _TYPED.get(tensor.datatype)
    if typed is None:
        detail = f"input {tensor.name!r:.60} has datatype {tensor.datatype}, which has no typed contents"
        raise InvalidInput(Fault(f"{detail}; send it in raw_input_contents"))
    return typed


def _values(tensor: Tensor, data: bytes, found: Sequence[Field], typed: _Typed) -> Iterator[Field | None]:
    """The fields with the tensor's values, and None now and then, to pause. Unknown ones are ignored.

    Raises `RequestError`.
    """
    for contents in found:
        for count, each in enumerate(wire.fields(data, contents.start, contents.end), 1):
            if count % _STEP_FIELDS == 0:
                yield None
            if each.number == typed.number:
                if each.kind not in (typed.kind, wire.BYTES):
                    raise MalformedBody(f"{typed.name} of input {tensor.name!r:.60} has the wire type {each.kind}")
                yield each
            elif each.number in _NAMES and each.end > each.start:
                detail = f"input {tensor.name!r:.60} has {_NAMES[each.number]}, expected {typed.name}"
                raise InvalidInput(Fault(f"{detail}, as its datatype is {tensor.datatype}"))


def _packed(tensor: Tensor, data: bytes, found: Sequence[Field], typed: _Typed) -> Steps[bytes | bytearray]:
    """All values of a numeric tensor in packed form, which is each value's own form, one after the other."""
    packed: bytes | bytearray = b""
    for each in _values(tensor, data, found, typed):
        if each is None:
            yield
            continue
        part = data[each.start : each.end]
        if not packed:
            packed = part
        else:
            packed = packed if isinstance(packed, bytearray) else bytearray(packed)
            packed += part
    return packed


def _integers(tensor: Tensor, packed: bytes | bytearray, count: int) -> Steps[NDArray[Any]]:
    if count > len(packed):  # checked before anything is allocated
        raise _wrong_count(tensor, len(packed))
    values, filled, at = np.empty(count, DTYPES[tensor.datatype]), 0, 0
    raw = np.frombuffer(packed, np.uint8)
    while at < len(raw):
        if at:
            yield
        end = min(at + _STEP_BYTES, len(raw))
        most = min(end + _MAX_VARINT_BYTES, len(raw))
        while end < most and raw[end - 1] > 127:
            end += 1
        part = _declared(tensor, _unpacked(raw[at:end]), filled)
        if filled + len(part) > count:
            raise _wrong_count(tensor, filled + len(part))
        values[filled : filled + len(part)] = part
        filled, at = filled + len(part), end
    if filled != count:
        raise _wrong_count(tensor, filled)
    return values


def _unpacked(raw: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The unsigned integers (n,) in whole packed ``raw`` bytes. Raises `MalformedBody`."""
    ends = np.flatnonzero(raw < 128)
    if len(ends) == len(raw):
        return raw.astype(np.uint64)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(ends) == 0 or ends[-1] != len(raw) - 1 or lengths.max() > _MAX_VARINT_BYTES:
        raise MalformedBody("the message is not a protocol buffer of its type: an integer has no end; send it again")
    places = np.arange(len(raw)) - np.repeat(starts, lengths)  # of each byte in its integer
    shifted = (raw & 0x7F).astype(np.uint64) << (7 * places).astype(np.uint64)
    found: NDArray[np.uint64] = np.add.reduceat(shifted, starts)
    return found


def _declared(tensor: Tensor, values: NDArray[np.uint64], first: int) -> NDArray[Any]:
    """Unsigned integers as the tensor's datatype. Raises `InvalidInput` for one that it does not hold."""
    datatype, dtype = tensor.datatype, DTYPES[tensor.datatype]
    declared: NDArray[Any]
    if datatype == BOOL:
        declared = values != 0
        return declared.astype(dtype)
    if dtype.itemsize == 8:
        declared = values.view(dtype)
        return declared
    wide = values.astype(np.uint32)  # as the protocol's 32-bit fields cut them
    numbers = wide.view(np.int32) if dtype.kind == "i" else wide
    declared = numbers.astype(dtype)
    if not np.array_equal(declared, numbers):
        index = int(np.argmax(declared != numbers))
        detail = f"input {tensor.name!r:.60}, value {first + index} is {numbers[index]}, which is no {datatype}"
        raise InvalidInput(Fault(detail))
    return declared


def _wrong_count(tensor: Tensor, found: int) -> InvalidInput:
    shape = f"{list(tensor.shape[:8])!s:.60}"
    detail = f"input {tensor.name!r:.60} has {'too few' if found < math.prod(tensor.shape) else 'too many'} values"
    return InvalidInput(Fault(f"{detail}, and {math.prod(tensor.shape)} belong to the shape {shape}"))
