"""The values of --time as numbers whose order is that of the times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data.tables import columns, dates, parsing
from training.data.tables.dates import DateOptions
from training.data.tables.numbers import Rules

# Besides dates, texts such as 2020-W05 or 2020Q1, whose order is that of their characters.
_YEAR_FIRST = "^0000"


class Order(NamedTuple):
    """``numbers`` (rows,) in the order of the times, NaN where one is missing; ``notes`` on how they were read."""

    numbers: NDArray[np.float64]
    notes: Sequence[str] = ()


def order_of(name: str, array: pa.ChunkedArray, rules: Rules, options: DateOptions) -> Order | None:
    """Return the order of the times in column ``name``; None if the values cannot be ordered.

    Takes numbers, dates, timestamps, texts that are read as dates, and texts of one shape that begin with the year.
    """
    if columns.is_string(array):
        return _of_strings(name, array, rules, options)
    if columns.is_numeric(array):
        return Order(columns.to_numbers(array))
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        return Order(_microseconds(array.cast(pa.timestamp("us", getattr(array.type, "tz", None)), safe=False)))
    return None


def _of_strings(name: str, array: pa.ChunkedArray, rules: Rules, options: DateOptions) -> Order | None:
    parsed = parsing.infer("", array, replace(rules, fixed=True), "").array
    if columns.is_numeric(parsed):
        return Order(columns.to_numbers(parsed))
    found = dates.infer(name, array, rules.cells, options)
    if found is not None and found.dates not in (None, "time"):
        missing = array.null_count + sum(found.missing.values())
        if found.array.null_count == missing:  # all texts are dates
            return Order(columns.to_numbers(found.array), found.notes)
    stripped = parsing.as_strings(array, rules.cells).array
    texts = pc.if_else(pc.is_in(stripped, value_set=pa.array(rules.cells.missing_numbers, pa.string())), None, stripped)
    shapes = pc.unique(pc.replace_substring_regex(texts, "[0-9]", "0")).drop_null()
    if len(shapes) != 1 or not pc.match_substring_regex(shapes, _YEAR_FIRST)[0].as_py():
        return None
    return Order(columns.encode(texts)[1])


def _microseconds(array: pa.ChunkedArray) -> NDArray[np.float64]:
    return columns.to_numbers(array.cast(pa.int64()))
