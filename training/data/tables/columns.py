"""One Arrow column: its type, and its values as the network's numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service import cells
from training.data.dataset import Column

FIRST_ROWS: Final = 1000  # enough to rule out most patterns without reading a whole column

_SPACE: Final = f"[{cells.SPACES}]?"
# Numbers as people write them: 1,200 $1200 3,14 12% 1e-3 (40); but not dates, versions or addresses such as 1.2.3.
_GROUPS: Final = rf"\d{{1,3}}(?:[,.{cells.SPACES}{cells.APOSTROPHES}]\d{{3}})+|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}"
DIGITS: Final = rf"(?:(?:{_GROUPS})(?:[.,]\d*)?|\d+(?:[.,]\d*)?|[.,]\d+)"
_SIGN: Final = f"[-+{cells.MINUS}]?"
_SIGNED: Final = rf"{_SIGN}({cells.SYMBOLS}{_SPACE})?{_SIGN}{DIGITS}([eE][-+]?\d+)?({_SPACE}(%|{cells.SYMBOLS}))?"
_NUMBER_LIKE: Final = f"^(?:{_SIGNED}|[(]{_SIGNED}[)])$"
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_MAX_EXACT: Final = 2.0**53


def is_string(array: pa.ChunkedArray) -> bool:
    """Return whether the values are strings."""
    return bool(pa.types.is_string(array.type))


def is_numeric(array: pa.ChunkedArray) -> bool:
    """Return whether the values are numbers."""
    return is_number_type(array.type)


def is_number_type(arrow_type: pa.DataType) -> bool:
    """Return whether values of an Arrow type are numbers."""
    types = pa.types
    return bool(types.is_integer(arrow_type) or types.is_floating(arrow_type) or types.is_decimal(arrow_type))


def is_integral(array: pa.ChunkedArray) -> bool:
    """Return whether all values are integers, of any numeric type, that float64 holds exactly."""
    if not is_numeric(array):
        return False
    values = to_numbers(array)
    return bool((np.isnan(values) | ((values == np.rint(values)) & (np.abs(values) <= _MAX_EXACT))).all())


def normalised(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values instead of dictionary codes, null instead of NaN, one type of strings, float32 for float16."""
    types = pa.types
    plain = _decoded(array) if types.is_dictionary(array.type) else array
    if types.is_large_string(plain.type) or types.is_string_view(plain.type):
        return plain.cast(pa.string())
    if types.is_floating(plain.type):
        numbers = plain.cast(pa.float32()) if types.is_float16(plain.type) else plain
        is_nan = pc.is_nan(numbers)
        return pc.if_else(is_nan, None, numbers) if pc.any(is_nan).as_py() else numbers
    return plain


def _decoded(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of dictionary codes. Arrow casts no dictionary of views, such as polars' categories."""
    inner = array.type.value_type
    if not pa.types.is_string_view(inner):
        return array.cast(inner)
    chunks = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in array.chunks]
    return pa.chunked_array(chunks, pa.string())


def to_strings(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values as strings; numbers as the server writes a client's number to look it up."""
    if is_string(array):
        return array
    types = pa.types
    if types.is_floating(array.type) or types.is_decimal(array.type):
        encoded = pc.dictionary_encode(array).combine_chunks()
        values = encoded.dictionary.to_pylist()
        if types.is_float32(array.type):
            values = [float(str(np.float32(value))) for value in values]  # 0.1 instead of 0.10000000149
        return pa.chunked_array([pa.array(map(_number_string, values), pa.string()).take(encoded.indices)])
    return array.cast(pa.string())


def _number_string(value: float | Decimal) -> str:
    if isinstance(value, Decimal):
        string = f"{value:f}"
        return string.rstrip("0").rstrip(".") if "." in string else string
    return cells.spellings_of(value)[-1]


def to_numbers(array: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return numbers or booleans as (rows,) float64; NaN where missing."""
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def to_integers(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers as int64 if all are integers, else unchanged."""
    return array.cast(pa.int64()) if array.null_count < len(array) and is_integral(array) else array


def encode(strings: pa.ChunkedArray) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the categories, sorted, and the index of each string among them as (rows,) float64; NaN where missing."""
    encoded = pc.dictionary_encode(strings).combine_chunks()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    codes = np.empty(len(found) + 1)
    codes[order] = np.arange(len(found))
    codes[-1] = np.nan
    return tuple(found[index] for index in order), codes[encoded.indices.fill_null(len(found)).to_numpy()]


def to_feature(name: str, array: pa.ChunkedArray, *, categorical: bool) -> tuple[Column, NDArray[np.float64]]:
    """Return the description of a feature, with all its categories, and its values (rows,) float64."""
    if categorical or is_string(array):
        categories, values = encode(to_strings(array))
        return Column(name, "categorical", bool(np.isnan(values).any()), categories), values
    values = to_numbers(array)
    boolean = pa.types.is_boolean(array.type)
    return Column(name, "boolean" if boolean else "numeric", bool(np.isnan(values).any())), values


def errors_of(name: str, array: pa.ChunkedArray, *, numeric: bool) -> list[str]:
    """Return why a column cannot be used: its type, or, if it is used as ``numeric``, values beyond float32's range."""
    if not is_supported(array):
        return [f"column {name!r} has type {array.type}, expected numbers, booleans or strings; leave it out"]
    return _range_errors(name, to_numbers(array)) if numeric and is_numeric(array) else []


def is_supported(array: pa.ChunkedArray) -> bool:
    """Return whether the values have a type that a column may have: not lists, objects or bytes."""
    types = pa.types
    plain = types.is_null(array.type) or types.is_boolean(array.type) or types.is_temporal(array.type)
    return bool(plain or is_numeric(array) or is_string(array))


def _range_errors(name: str, values: NDArray[np.float64]) -> list[str]:
    too_large = np.flatnonzero(np.abs(values) > _FLOAT32_MAX)
    if not len(too_large):
        return []
    return [
        f"column {name!r} has {values[too_large[0]]:g} in row {too_large[0] + 1} below the header, expected at most "
        f"{_FLOAT32_MAX:.2g}, the largest float32; correct it, leave it empty, or use another unit"
    ]


def look_numeric(strings: pa.Array) -> pa.Array:
    """Return for each string whether it looks like a number as people write it."""
    return pc.match_substring_regex(strings, _NUMBER_LIKE)


def all_match(strings: pa.ChunkedArray, pattern: str) -> bool:
    """Return whether ``pattern`` matches each string as a whole; nulls are skipped."""
    return bool(pc.all(pc.match_substring_regex(strings, f"^(?:{pattern})$"), min_count=0).as_py())


def count(strings: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each string occurs, the most frequent first; nulls are skipped."""
    pairs = [(pair["values"], pair["counts"]) for pair in pc.value_counts(strings).to_pylist()]
    return {string: times for string, times in sorted(pairs, key=lambda pair: -pair[1]) if string is not None}
