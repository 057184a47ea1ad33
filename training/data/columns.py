"""A column of a table as the network takes it: numbers, and what they mean."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data.dataset import Column
from training.errors import DataError

# Numbers as people write them: 1,200 $1200 3,14 12% 1e-3; but no dates, versions or addresses such as 1.2.3.
_DIGITS: Final = r"(\d{1,3}([,.' ]\d{3})+([.,]\d+)?|\d+([.,]\d*)?|[.,]\d+)"
_NUMBER_LIKE: Final = rf"^[-+]?[$€£¥]?\s*[-+]?{_DIGITS}([eE][-+]?\d+)?\s*[%$€£¥]?$"
_DATE_LIKE: Final = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})\b"
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
    """A column's values as texts without spaces around them; what is empty is missing. Whole numbers have no point."""
    if pa.types.is_floating(array.type) and is_whole(array):
        array = array.cast(pa.int64())
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


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


def check(name: str, array: pa.ChunkedArray, remedy: str | None) -> None:
    """Raise `DataError` where a column holds what no network takes, or what looks like a slip of the pen.

    ``remedy`` is the option that takes its values for categories, whatever they look like; None where it was given.
    """
    kinds = pa.types
    known = kinds.is_null(array.type) or kinds.is_boolean(array.type) or kinds.is_temporal(array.type)
    if not (known or is_numeric(array) or is_text(array)):
        raise DataError(f"column {name!r} holds values of type {array.type}, which no network takes; leave it out")
    if remedy is not None and is_text(array):
        _check_text(name, texts_of(array), remedy)
    if remedy is not None and is_numeric(array):
        _check_size(name, numbers_of(array))


def _check_text(name: str, texts: pa.ChunkedArray, remedy: str) -> None:
    if _share_like(texts, _NUMBER_LIKE) <= 0.5:
        return
    for row, text in enumerate(texts.to_pylist(), 1):
        if text is not None and not _is_number(text):
            raise DataError(
                f"column {name!r} has the text {text!r:.60} in row {row} below the header, and most of its values look "
                "like numbers; write it as a plain number such as 1200 or 3.14, leave it empty, or take the column's "
                f"values for categories with {remedy}"
            )


def _check_size(name: str, values: NDArray[np.float64]) -> None:
    too_large = np.flatnonzero(np.abs(values) > _FLOAT32_MAX)
    if len(too_large):
        raise DataError(
            f"column {name!r} has {values[too_large[0]]:g} in row {too_large[0] + 1} below the header, and float32 "
            f"holds at most {_FLOAT32_MAX:.2g}; mend it, leave it empty, or use another unit"
        )


def _share_like(texts: pa.ChunkedArray, pattern: str) -> float:
    known = len(texts) - texts.null_count
    matches = pc.match_substring_regex(texts.cast(pa.string()), pattern)
    return float((pc.sum(matches).as_py() or 0) / max(known, 1))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) is not None
