"""Tensors as bytes, as in the Open Inference Protocol's binary extension: little-endian, in C order.

A string of a BYTES tensor is its length as uint32, followed by its bytes.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.inference.steps import Steps
from service.inference.tensors import DTYPES, Tensor, shape_text

_LENGTH: Final = struct.Struct("<I")
_STEP_VALUES: Final = 2000


def numbers(tensor: Tensor, body: bytes, start: int, size_bytes: int) -> NDArray[Any]:
    """The values (n,) of a numeric tensor, a view of ``body`` from ``start`` on.

    Raises `InvalidInput` if its ``size_bytes`` do not fit its shape.
    """
    dtype, count = DTYPES[tensor.datatype], math.prod(tensor.shape)
    expected = count * dtype.itemsize
    if size_bytes != expected:
        raise InvalidInput(
            Fault(
                f"input {tensor.name!r:.60} has {size_bytes} bytes, and {expected} belong to the shape "
                f"{shape_text(tensor.shape)} of {tensor.datatype}"
            )
        )
    return np.frombuffer(body, dtype, count, start)


def texts(tensor: Tensor, data: bytes, convert: Callable[[int, object], float]) -> Steps[NDArray[np.float64]]:
    """The strings (n,) of a BYTES tensor, each made a number by ``convert``. Raises `InvalidInput`."""
    count, at = math.prod(tensor.shape), 0
    if _LENGTH.size * count > len(data):  # checked before anything is allocated
        raise _wrong_length(tensor, len(data))
    values = np.empty(count)
    for index in range(count):
        start = at + _LENGTH.size
        if start > len(data) or (at := start + _LENGTH.unpack_from(data, at)[0]) > len(data):
            raise _wrong_length(tensor, len(data))
        try:
            values[index] = convert(index, data[start:at].decode())
        except UnicodeDecodeError as error:
            raise InvalidInput(Fault(f"input {tensor.name!r:.60}, value {index} is not UTF-8")) from error
        if (index + 1) % _STEP_VALUES == 0:
            yield
    if at != len(data):
        raise _wrong_length(tensor, len(data))
    return values


def bytes_of(strings: Iterable[bytes]) -> bytes:
    """A BYTES tensor of these strings."""
    return b"".join([_LENGTH.pack(len(each)) + each for each in strings])


def _wrong_length(tensor: Tensor, size_bytes: int) -> InvalidInput:
    detail = f"input {tensor.name!r:.60} has {size_bytes} bytes, which are not {math.prod(tensor.shape)} strings"
    return InvalidInput(Fault(f"{detail}, each after its length as uint32"))
