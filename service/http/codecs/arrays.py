"""Rows that come as the bytes of an array, raw or as .npy.

A value that is no number stands in an array as the number the network takes for it: `manifest.Feature` tells which.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs import npy
from service.inference.schema import Schema
from service.inference.steps import Steps

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "uint8": np.dtype("u1"),
}


def rows_from_raw(body: bytes, dtype: str | None, schema: Schema) -> NDArray[Any] | Steps[NDArray[Any]]:
    """Rows in C order, little-endian, of ``dtype`` ``float32`` or, where the model's data is of that type, ``uint8`` or
    ``float64``.

    Without a ``dtype`` the body's length must leave no doubt; of float64 it never does, as each row could be two of
    float32. Where checking them takes long: steps that come to them. Raises `InvalidInput`.
    """
    if dtype is None:
        dtype = _only_dtype(len(body), schema)
    elif dtype not in schema.raw_dtypes:
        raise InvalidInput(Fault(f"dtype is {dtype!r:.60}, and this model takes {' or '.join(schema.raw_dtypes)}"))
    count, rest = divmod(len(body), schema.width * DTYPES[dtype].itemsize)
    if rest or count == 0:
        raise _no_rows(len(body), schema)
    schema.check_count(count)
    values = np.frombuffer(body, DTYPES[dtype])
    rows = values.reshape(count, schema.width)
    return rows if schema.fits(values) else schema.checked_in_steps(rows)


def _only_dtype(length: int, schema: Schema) -> str:
    rows = {name: length / (schema.width * DTYPES[name].itemsize) for name in schema.raw_dtypes}
    possible = {name: int(count) for name, count in rows.items() if count.is_integer()}
    if length == 0 or not possible:
        raise _no_rows(length, schema)
    if "float64" in possible:
        raise InvalidInput(
            Fault(f"the body's {length} bytes could be float32, and this model takes float64; say ?dtype=float64 if so")
        )
    if len(possible) > 1:
        counts = " or ".join(f"{count} of {name}" for name, count in possible.items())
        raise InvalidInput(Fault(f"the body's {length} bytes can be {counts} rows; say which with ?dtype="))
    return next(iter(possible))


def _no_rows(length: int, schema: Schema) -> InvalidInput:
    rows = " or ".join(f"{schema.width * DTYPES[name].itemsize} of {name}" for name in schema.raw_dtypes)
    return InvalidInput(
        Fault(f"the body has {length} bytes, expected one or more rows of {schema.width} values: {rows}")
    )


def rows_from_npy(body: bytes, schema: Schema) -> NDArray[Any] | Steps[NDArray[Any]]:
    """Rows from a .npy file of numbers, of shape (rows, features), (rows, *shape), or one row without the first axis.

    Where checking them takes long: steps that come to them. Raises `MalformedBody` and `InvalidInput`.
    """
    array = npy.read(body)
    dtype = array.dtype
    if dtype.kind == "f" and dtype.itemsize < 8 and "float32" not in schema.raw_dtypes:
        detail = f"the array is of dtype {dtype}, which cannot hold this model's values apart; make it float64 or int64"
        raise InvalidInput(Fault(f"{detail} from the start"))
    width, shape = schema.width, array.shape
    if shape in ((width,), schema.shape):
        array = array.reshape(1, *shape)
    elif shape[1:] not in ((width,), schema.shape):
        nested = f" or (rows, {', '.join(map(str, schema.shape))})" if len(schema.shape) > 1 else ""
        raise InvalidInput(Fault(f"the array has shape {shape!s:.60}, expected (rows, {width}){nested}"))
    schema.check_count(len(array))
    return schema.checked(array)
