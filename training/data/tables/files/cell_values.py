"""Columns from Python values, as JSON and Excel hold them: in one type, or strings if the values are of several."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from service.cells import spellings_of

_NUMBERS = {int, float}


def to_column(values: Sequence[Any]) -> tuple[pa.ChunkedArray, bool]:
    """Return the values as an Arrow column, and whether they have a type.

    Strings have none, as in a CSV file: both formats are often written by programs that quote every number. Values of
    several types, such as numbers beside ``"n/a"``, become strings.
    """
    types = {type(value) for value in values if value is not None}
    if types != {str} and (types <= _NUMBERS or len(types) == 1):
        try:
            return pa.chunked_array([pa.array(values)]), True
        except (pa.ArrowException, OverflowError):
            if types <= _NUMBERS:  # integers beyond 64 bits
                return pa.chunked_array([pa.array([None if each is None else float(each) for each in values])]), True
    if types <= {dt.date, dt.datetime}:
        moments = [dt.datetime(each.year, each.month, each.day) if type(each) is dt.date else each for each in values]  # noqa: DTZ001
        return pa.chunked_array([pa.array(moments)]), True
    return pa.chunked_array([pa.array([_spelled(value) for value in values], pa.string())]), False


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return spellings_of(value)[-1 if isinstance(value, float) else 0]
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
