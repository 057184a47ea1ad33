"""application/octet-stream: rows as the bytes of an array.

Values that are not numbers are sent as the codes the network takes for them: see `manifest.Feature`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs.codec import Codec, DecodedRows, binary, with_faults
from service.http.options import RowOptions
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.steps import Steps

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "uint8": np.dtype("u1"),
}


def rows_from_raw(
    body: bytes, dtype: str | None, schema: Schema, faults: RowFaults | None = None
) -> NDArray[Any] | Steps[NDArray[Any]]:
    """Rows (rows, features) in C order, little-endian, of ``dtype`` ``float32``, or ``uint8`` or ``float64`` if the
    model's data is of that type.

    Without a ``dtype`` the body's length has to be unambiguous. It never is for float64, since each row could be two of
    float32. Returns steps if checking the rows takes long. Raises `InvalidInput`.
    """
    if dtype is None:
        dtype = _unambiguous_dtype(len(body), schema)
    elif dtype not in schema.raw_dtypes:
        raise InvalidInput(Fault(f"dtype is {dtype!r:.60}, and this model takes {' or '.join(schema.raw_dtypes)}"))
    numpy_dtype = DTYPES[dtype]
    count, rest = divmod(len(body), schema.width * numpy_dtype.itemsize)
    if rest or count == 0:
        raise _wrong_length(len(body), schema)
    if count > schema.max_rows:
        schema.check_count(count)
    values = np.frombuffer(body, numpy_dtype)
    rows = values.reshape(count, schema.width)
    return rows if schema.fits(values) else schema.checked_in_steps(rows, faults)


def _unambiguous_dtype(length: int, schema: Schema) -> str:
    rows = {name: length / (schema.width * DTYPES[name].itemsize) for name in schema.raw_dtypes}
    possible = {name: int(count) for name, count in rows.items() if count.is_integer()}
    if length == 0 or not possible:
        raise _wrong_length(length, schema)
    if "float64" in possible:
        raise InvalidInput(
            Fault(f"the body's {length} bytes could be float32, and this model takes float64; say ?dtype=float64 if so")
        )
    if len(possible) > 1:
        counts = " or ".join(f"{count} of {name}" for name, count in possible.items())
        raise InvalidInput(Fault(f"the body's {length} bytes can be {counts} rows; say which with ?dtype="))
    return next(iter(possible))


def _wrong_length(length: int, schema: Schema) -> InvalidInput:
    rows = " or ".join(f"{schema.width * DTYPES[name].itemsize} of {name}" for name in schema.raw_dtypes)
    return InvalidInput(
        Fault(f"the body has {length} bytes, expected one or more rows of {schema.width} values: {rows}")
    )


def _decode(body: bytes, options: RowOptions, schema: Schema) -> DecodedRows | Steps[DecodedRows]:
    if not options.by_row:
        return rows_from_raw(body, options.dtype, schema)
    faults = RowFaults()
    return with_faults(rows_from_raw(body, options.dtype, schema, faults), faults)


def _row_bytes(options: RowOptions, schema: Schema) -> float | None:
    """The most bytes of a row; None if the ``dtype`` is not one of the model's."""
    sizes = [DTYPES[name].itemsize for name in schema.raw_dtypes if options.dtype in (None, name)]
    return schema.width * max(sizes) if sizes else None


CODEC: Final = Codec(
    (b"application/octet-stream",),
    _decode,
    lambda _models: binary("rows in C order, little-endian, float32 or, of images, uint8"),
    row_bytes=_row_bytes,
)
