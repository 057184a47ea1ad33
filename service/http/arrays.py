"""Rows that come as the bytes of an array, raw or as .npy, and answers that leave so. Parses no pickles.

A value that is no number stands in an array as the number the network takes for it: `manifest.Feature` tells which.
"""

from __future__ import annotations

import io
import math
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.schema import Schema

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "uint8": np.dtype("u1"),
}
_KINDS: Final = "fiu"
# Versions 2 and 3 differ in how names of fields are encoded, and arrays of numbers have none.
_HEADERS: Final = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,
}


def rows_from_raw(body: bytes, dtype: str | None, schema: Schema) -> NDArray[Any]:
    """Rows in C order, little-endian, of ``dtype`` ``float32`` or, where the model's data is of that type, ``uint8`` or
    ``float64``.

    Without a ``dtype`` the body's length must leave no doubt; of float64 it never does, as each row could be two of
    float32. Raises `InvalidInput`.
    """
    if dtype is None:
        dtype = _only_dtype(len(body), schema)
    elif dtype not in schema.raw_dtypes:
        raise InvalidInput(Fault(f"dtype is {dtype!r}, and this model takes {' or '.join(schema.raw_dtypes)}"))
    count, rest = divmod(len(body), schema.width * DTYPES[dtype].itemsize)
    if rest or count == 0:
        raise _no_rows(len(body), schema)
    schema.check_count(count)
    return schema.checked(np.frombuffer(body, DTYPES[dtype]).reshape(count, schema.width))


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


def rows_from_npy(body: bytes, schema: Schema) -> NDArray[Any]:
    """Rows from a .npy file of numbers, of shape (rows, features), (rows, *shape), or one row without the first axis.

    https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Raises `MalformedBody` and `InvalidInput`.
    """
    file = io.BytesIO(body)
    try:
        shape, fortran_order, dtype = _HEADERS[npy.read_magic(file)](file)
    except KeyError as error:
        raise MalformedBody(f"the body is a .npy file of version {error}, expected (1, 0), (2, 0) or (3, 0)") from error
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MalformedBody(f"the body is no .npy file: {reason:.200}") from error
    if dtype.kind not in _KINDS or dtype.itemsize > 8:
        raise InvalidInput(Fault(f"the array is of dtype {dtype}, expected float or integer numbers of up to 64 bits"))
    if dtype.kind == "f" and dtype.itemsize < 8 and "float32" not in schema.raw_dtypes:
        detail = f"the array is of dtype {dtype}, which cannot hold this model's values apart; make it float64 or int64"
        raise InvalidInput(Fault(f"{detail} from the start"))
    # The header is believed only where the file's length bears it out: nothing is allocated on its word.
    data_bytes = len(body) - file.tell()
    if data_bytes != math.prod(shape) * dtype.itemsize:
        raise MalformedBody(f"the .npy file promises an array {shape} of {dtype}, and has {data_bytes} bytes for it")
    width = schema.width
    if shape[1:] not in ((width,), schema.shape) and shape not in ((width,), schema.shape):
        nested = f" or (rows, {', '.join(map(str, schema.shape))})" if len(schema.shape) > 1 else ""
        raise InvalidInput(Fault(f"the array has shape {shape}, expected (rows, {width}){nested}"))
    schema.check_count(math.prod(shape) // width)
    values = np.frombuffer(body, dtype, offset=file.tell())
    if fortran_order:
        values = values.reshape(shape, order="F")
    return schema.checked(values.reshape(-1, width))


def npy_from(array: NDArray[Any]) -> bytes:
    """``array`` as a .npy file."""
    file = io.BytesIO()
    npy.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()
