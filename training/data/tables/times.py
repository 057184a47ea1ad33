"""The values of --time as numbers whose order is that of the times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data.tables import columns, parsing
from training.data.tables.numbers import Rules

# Besides what Arrow reads, texts such as 2020-01, 2020-W05 or 2020Q1, whose order is that of their characters.
_YEAR_FIRST = "^0000"


def order_of(array: pa.ChunkedArray, rules: Rules) -> NDArray[np.float64] | None:
    """Numbers (rows,) in the order of the times, NaN where one is missing; None if the values cannot be ordered.

    Takes numbers, dates, timestamps, ISO 8601 texts, and texts of one shape that begin with the year.
    """
    if columns.is_string(array):
        return _of_strings(array, rules)
    if columns.is_numeric(array):
        return columns.to_numbers(array)
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        return _microseconds(array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False))
    return None


def _of_strings(array: pa.ChunkedArray, rules: Rules) -> NDArray[np.float64] | None:
    parsed = parsing.infer("", array, replace(rules, fixed=True), "").array
    if columns.is_numeric(parsed):
        return columns.to_numbers(parsed)
    stripped = parsing.as_strings(array, rules.cells).array
    texts = pc.if_else(pc.is_in(stripped, value_set=pa.array(rules.cells.missing_numbers, pa.string())), None, stripped)
    for zone in (None, "UTC"):
        try:
            return _microseconds(texts.cast(pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            continue
    shapes = pc.unique(pc.replace_substring_regex(texts, "[0-9]", "0")).drop_null()
    if len(shapes) != 1 or not pc.match_substring_regex(shapes, _YEAR_FIRST)[0].as_py():
        return None
    return columns.encode(texts)[1]


def _microseconds(array: pa.ChunkedArray) -> NDArray[np.float64]:
    return columns.to_numbers(array.cast(pa.int64()))
