"""application/x-npy: rows and answers as .npy files.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. A client's header is parsed by a
grammar of what numpy writes for an array of numbers, and never evaluated.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any, Final

import numpy as np
from numpy.lib import format as numpy_format
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs.codec import Codec, DecodedRows, binary, with_faults
from service.http.options import Options, RowOptions
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.manifest import Manifest

_MAGIC: Final = b"\x93NUMPY"
_LENGTH_BYTES: Final = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # of the header's length field
_MAX_HEADER_BYTES: Final = 10_000  # as numpy's own bound
_MAX_AXES: Final = 32
_SPACE: Final = r"[ \t]*"
_SIZE: Final = r"(?:0|[1-9]\d{0,17})L?"  # numpy for Python 2 wrote an L after a long one
# A tuple of sizes: a comma also stands after a single one.
_SHAPE: Final = rf"\({_SPACE}(?:{_SIZE}{_SPACE},{_SPACE}(?:{_SIZE}{_SPACE},{_SPACE})*(?:{_SIZE}{_SPACE})?)?\)"
_ITEM: Final = re.compile(
    rf"{_SPACE}(?P<mark>['\"])(?:descr(?P=mark){_SPACE}:{_SPACE}(?P<quote>['\"])(?P<descr>[^'\"\\\n]{{0,40}})(?P=quote)"
    rf"|fortran_order(?P=mark){_SPACE}:{_SPACE}(?P<fortran>True|False)"
    rf"|shape(?P=mark){_SPACE}:{_SPACE}(?P<shape>{_SHAPE})){_SPACE}(?P<end>,|(?=\}}))",
    re.ASCII,
)
_MAX_ITEM_BYTES: Final = 8
_DTYPE: Final = re.compile(r"[<>=|]?(?:[fiu][1248]|[efdbBhHiIlLqQ])", re.ASCII)


def read(body: bytes) -> NDArray[Any]:
    """The array of numbers in a .npy file, a view of ``body``. Raises `MalformedBody` and `InvalidInput`."""
    if not body.startswith(_MAGIC):
        raise MalformedBody(f"the body is no .npy file: it begins with {body[:6]!r}, expected {_MAGIC!r}")
    version = tuple(body[6:8])
    length_bytes = _LENGTH_BYTES.get(version)  # type: ignore[arg-type]
    if len(version) == 2 and length_bytes is None:
        raise MalformedBody(f"the body is a .npy file of version {version}, expected (1, 0), (2, 0) or (3, 0)")
    start = 8 + (length_bytes or 0)
    end = start + int.from_bytes(body[8:start], "little")
    if len(body) < start or (len(body) < end <= start + _MAX_HEADER_BYTES):
        raise MalformedBody("the body is no whole .npy file: its header is cut off")
    if end > start + _MAX_HEADER_BYTES:
        raise MalformedBody(f"the .npy file's header has {end - start} bytes, expected at most {_MAX_HEADER_BYTES}")
    descr, fortran_order, shape = _header(body[start:end].decode("latin-1"))
    dtype = _dtype(descr)
    # Checked against the file's length before anything is allocated.
    data_bytes = len(body) - end
    if data_bytes != math.prod(shape) * dtype.itemsize:
        detail = f"the .npy file promises an array {shape!s:.60} of {dtype}, and has {data_bytes} bytes for it"
        raise MalformedBody(detail)
    try:
        return np.frombuffer(body, dtype, offset=end).reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:  # it is empty, and its other sizes are larger than numpy allows
        raise MalformedBody(f"the .npy file promises an array {shape!s:.60}, which numpy cannot hold") from error


def rows_from_npy(body: bytes, schema: Schema, faults: RowFaults | None = None) -> NDArray[Any] | Steps[NDArray[Any]]:
    """Rows of a .npy file of numbers: (rows, features) or (rows, *shape), or one row without the first axis.

    Returns steps if checking the rows takes long. Raises `MalformedBody` and `InvalidInput`.
    """
    array = read(body)
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
    return schema.checked(array, faults)


def write(array: NDArray[Any]) -> bytes:
    """``array`` as a .npy file."""
    file = io.BytesIO()
    numpy_format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _decode(body: bytes, options: RowOptions, schema: Schema) -> DecodedRows | Steps[DecodedRows]:
    if not options.by_row:
        return rows_from_npy(body, schema)
    faults = RowFaults()
    return with_faults(rows_from_npy(body, schema, faults), faults)


def _encode(_manifest: Manifest, options: Options, outputs: Outputs) -> bytes:
    array = outputs.prediction if outputs.probabilities is None else outputs.probabilities
    if options.faults is not None:
        array = array.copy()
        array[options.faults.rows()] = np.nan
    return write(array)


def _header(text: str) -> tuple[str, bool, tuple[int, ...]]:
    found: dict[str, str] = {}
    opening = re.match(rf"{_SPACE}\{{", text)
    at = opening.end() if opening else 0
    while opening and (item := _ITEM.match(text, at)):
        at = item.end()
        (name,) = [name for name in ("descr", "fortran", "shape") if item[name] is not None]
        if name in found:
            raise MalformedBody("the .npy file's header has a duplicate key; save the array again")
        found[name] = item[name]
    if len(found) != 3 or re.fullmatch(r"[ \t]*\}[ \t\n]*", text[at:]) is None:
        raise MalformedBody(
            "the .npy file's header is none of an array of numbers; expected, as numpy writes it, "
            "{'descr': '<f4', 'fortran_order': False, 'shape': (rows, values), }"
        )
    shape = tuple(int(size) for size in re.findall(r"\d+", found["shape"]))
    if len(shape) > _MAX_AXES:
        raise MalformedBody(f"the .npy file promises an array of {len(shape)} axes, expected at most {_MAX_AXES}")
    return found["descr"], found["fortran"] == "True", shape


def _dtype(descr: str) -> np.dtype[Any]:
    if _DTYPE.fullmatch(descr):
        try:
            return np.dtype(descr)
        except TypeError:  # float of 8 bits
            pass
    raise InvalidInput(
        Fault(f"the array is of dtype {descr!r}, expected float or integer numbers of up to 64 bits, such as '<f4'")
    )


CODEC: Final = Codec(
    (b"application/x-npy",),
    _decode,
    lambda _models: binary("one array of numbers, (rows, features) or nested to the model's shape"),
    row_bytes=lambda _options, schema: schema.width * _MAX_ITEM_BYTES,
    encode=_encode,
    describe_answer=lambda _models: binary("the probabilities, or a regression's predictions, as an array"),
)
