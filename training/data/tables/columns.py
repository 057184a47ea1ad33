"""A column of a table as the network takes it: numbers, and what they mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service import cells
from training.data.dataset import Column

# Numbers as people write them: 1,200 $1200 3,14 12% 1e-3; but no dates, versions or addresses such as 1.2.3.
_DIGITS: Final = r"(\d{1,3}([,.' ]\d{3})+([.,]\d+)?|\d+([.,]\d*)?|[.,]\d+)"
_NUMBER_LIKE: Final = rf"^[-+]?[$€£¥]?\s*[-+]?{_DIGITS}([eE][-+]?\d+)?\s*[%$€£¥]?$"
_DATE_LIKE: Final = (
    r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})\b|^\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?$"
)
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_WHOLE_MAX: Final = 2.0**53


def is_text(array: pa.ChunkedArray) -> bool:
    """Whether a column's values are texts."""
    return bool(pa.types.is_string(array.type))


def is_date(array: pa.ChunkedArray) -> bool:
    """Whether a column's values are dates or times, of their own type or in texts."""
    if pa.types.is_temporal(array.type):
        return True
    return is_text(array) and _share_like(array, _DATE_LIKE) > 0.5


def texts_of(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as texts; a number's is the one that a client's number is looked up by."""
    if is_text(array):
        return array
    kinds = pa.types
    if kinds.is_floating(array.type) or kinds.is_decimal(array.type):
        encoded = pc.dictionary_encode(array).combine_chunks()
        values = encoded.dictionary.to_pylist()
        if pa.types.is_float32(array.type):
            values = [float(str(np.float32(value))) for value in values]  # 0.1, and not 0.10000000149
        return pa.chunked_array([pa.array(map(_text_of, values), pa.string()).take(encoded.indices)])
    return array.cast(pa.string())


def _text_of(value: float | Decimal) -> str:
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return cells.texts_of(value)[-1]


def numbers_of(array: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers or booleans as float64 (rows,), NaN where one is missing."""
    return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def codes_of(texts: pa.ChunkedArray) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The categories, sorted, and each text's place among them as float64 (rows,), NaN where it is missing."""
    encoded = pc.dictionary_encode(texts).combine_chunks()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    places = np.empty(len(found) + 1)
    places[order] = np.arange(len(found))
    places[-1] = np.nan
    return tuple(found[index] for index in order), places[encoded.indices.fill_null(len(found)).to_numpy()]


def column_of(name: str, array: pa.ChunkedArray, *, categorical: bool) -> tuple[Column, NDArray[np.float64]]:
    """What a feature is, with all its categories, and its values (rows,)."""
    if categorical or is_text(array):
        categories, values = codes_of(texts_of(array))
        return Column(name, "categorical", bool(np.isnan(values).any()), categories), values
    values = numbers_of(array)
    kind: Any = "boolean" if pa.types.is_boolean(array.type) else "numeric"
    return Column(name, kind, bool(np.isnan(values).any())), values


def is_numeric(array: pa.ChunkedArray) -> bool:
    """Whether a column's values are numbers."""
    kinds = pa.types
    return bool(kinds.is_integer(array.type) or kinds.is_floating(array.type) or kinds.is_decimal(array.type))


def is_whole(array: pa.ChunkedArray) -> bool:
    """Whether a column's values are whole numbers, and such as float64 holds exactly."""
    if not is_numeric(array):
        return False
    values = numbers_of(array)
    return bool((np.isnan(values) | ((values == np.rint(values)) & (np.abs(values) <= _WHOLE_MAX))).all())


def faults_of(name: str, array: pa.ChunkedArray, *, taken_for_numbers: bool) -> list[str]:
    """Why a column holds what no network takes: values of such a type, or larger than float32 holds."""
    kinds = pa.types
    known = kinds.is_null(array.type) or kinds.is_boolean(array.type) or kinds.is_temporal(array.type)
    if not (known or is_numeric(array) or is_text(array)):
        return [f"column {name!r} holds values of type {array.type}, which no network takes; leave it out"]
    return _too_large(name, numbers_of(array)) if taken_for_numbers and is_numeric(array) else []


def _too_large(name: str, values: NDArray[np.float64]) -> list[str]:
    too_large = np.flatnonzero(np.abs(values) > _FLOAT32_MAX)
    if not len(too_large):
        return []
    return [
        f"column {name!r} has {values[too_large[0]]:g} in row {too_large[0] + 1} below the header, and float32 "
        f"holds at most {_FLOAT32_MAX:.2g}; mend it, leave it empty, or use another unit"
    ]


def number_like(texts: pa.Array) -> pa.Array:
    """Whether each of ``texts`` looks like a number as people write one."""
    return pc.match_substring_regex(texts, _NUMBER_LIKE)


def as_integers(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers as int64, where they are whole."""
    return array.cast(pa.int64()) if array.null_count < len(array) and is_whole(array) else array


def _share_like(texts: pa.ChunkedArray, pattern: str) -> float:
    found = pc.value_counts(texts.drop_null())
    matches = pc.match_substring_regex(found.field("values"), pattern)
    times = found.field("counts")
    return float((pc.sum(times.filter(matches)).as_py() or 0) / max(pc.sum(times).as_py() or 0, 1))
