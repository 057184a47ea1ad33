"""The features of a table: types and values; those that carry no information are left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.dates import DateFormat, text_of
from training.data import categories, precision
from training.data.dataset import Column
from training.data.tables import columns
from training.data.tables.files import spilled

_DENSE: Final = 10  # times as many integers in the range as there are rows
_COUNTED_ROWS: Final = 10  # fewer may count from 1 by chance
_ID_NAME: Final = re.compile(
    r"(?i:(.*[_ .-])?(id|index|idx|key|uuid|guid|nr|no|num|number|row|rownum|row_?names?|row_?numbers?|obs|case))"
    r"|.*[a-z](Id|ID|Nr|No|Number|Index|Key)"
    r"|(?i:(user|customer|client|account|order|patient|person|case|record|row|product|item|transaction|employee|student|"
    r"member|invoice|policy|loan|listing|subject)_?(id|no|nr|num|number|key))"
)

# Of a number that counts the rows, but is a quantity: the month of a series, or the age in a life table.
_TIME_NAME: Final = re.compile(
    "(?i:(?:^|.*[^a-z])(?:t|trend|times?|ages?|dates?|periods?|years?|quarters?|months?|weeks?|days?|hours?|minutes?|"
    "seconds?)(?:$|[^a-z].*))"
)


@dataclass(frozen=True, slots=True)
class Features:
    """``inputs`` (rows, columns) are float32, or float64 if there are dates or float32 would lose differences between
    values.

    ``dropped`` columns are left out, as nothing can be learned from them. ``notes`` are for the user to check; with
    ``errors`` the features cannot be used.
    """

    columns: tuple[Column, ...]
    inputs: NDArray[Any]
    dropped: tuple[str, ...]
    notes: list[str]
    errors: list[str]


def features_of(
    table: pa.Table,
    categorical: Sequence[str],
    dropped: Sequence[str],
    kept: Collection[str] = (),
    dates: Mapping[str, DateFormat] = MappingProxyType({}),
) -> Features:
    """Return the columns of ``table`` as features, without those from which nothing can be learned.

    Columns in ``categorical`` are categories whatever they hold, those in ``dates`` are days that were read by a
    format, and those in ``kept`` stay although they look like ids or have a different string in almost every row.
    ``dropped`` columns are no longer in the table; a remedy that suggests ``--drop`` repeats them.

    Each column is released once it is converted, so a caller that passes its only reference to the table needs memory
    for one of both.
    """
    pairs = list(zip(table.column_names, table.columns, strict=True))
    need_float64 = _needing_float64([pair for pair in pairs if pair[0] not in categorical], kept, dates)
    found: list[Column] = []
    notes: list[str] = []
    useless: dict[str, str] = {}
    ids: dict[str, str] = {}
    spare: dict[str, pa.ChunkedArray] = {}
    rows, dtype = table.num_rows, np.float64 if need_float64 else np.float32
    parts: list[NDArray[Any]] = []
    del table
    pairs.reverse()
    while pairs:
        name, array = pairs.pop()
        if not columns.is_supported(array):
            useless[name] = f"values of type {array.type}"
            continue
        column, values = columns.to_feature(name, array, categorical=name in categorical)
        column = dated(column, values, dates.get(name))
        if reason := _useless(column, values):
            useless[name] = reason
            continue
        if name not in kept and (reason := _identifies(column, values)):
            ids[name] = reason
            spare[name] = array
            continue
        if column.type == "numeric" and name in need_float64:
            notes += _outlier_notes(name, values)
        notes += _integer_notes(column, values, dropped)
        parts.append(values.astype(dtype))
        found.append(column)
    if ids and not found:  # better an id than nothing
        return features_of(pa.table(spare), categorical, dropped, [*kept, *ids], dates)
    notes = [*_dropped_notes(useless, ids, kept), *notes]
    imprecise = [column.name for column in found if column.type == "numeric" and column.name in need_float64]
    if imprecise:
        listed = " and ".join(map(repr, imprecise))
        notes.append(f"float32 cannot distinguish all values of {listed}: inputs are float64")
    # Only now, as its first column already takes the memory of all.
    inputs = np.empty((rows, len(parts)), dtype)
    for index, values in enumerate(parts):
        inputs[:, index] = values
    return Features(tuple(found), inputs, (*useless, *ids), notes, [])


def _needing_float64(
    pairs: Sequence[tuple[str, pa.ChunkedArray]], kept: Collection[str], dates: Mapping[str, DateFormat]
) -> set[str]:
    """The names of the columns without which all inputs could be float32."""
    found = set()
    for name, array in pairs:
        if columns.is_numeric(array) and _needs_float64(name, array, dates.get(name), kept):
            found.add(name)
        spilled.give_back()
    return found


def _needs_float64(name: str, array: pa.ChunkedArray, form: DateFormat | None, kept: Collection[str]) -> bool:
    """Whether a column of numbers becomes a feature of dates, or one whose values float32 cannot tell apart."""
    column, values = columns.to_feature(name, array, categorical=False)
    column = dated(column, values, form)
    if _useless(column, values):
        return False
    if column.type == "datetime":
        return True
    return precision.needs_float64(values) and (name in kept or not _identifies(column, values))


def dated(column: Column, values: NDArray[np.float64], form: DateFormat | None) -> Column:
    """Return ``column`` as one of dates that were read in the format ``form``; unchanged if that is None."""
    if form is None:
        return column
    return replace(column, type="datetime", format=form, has_time=bool((values % 1 > 0).any()))


def _outlier_notes(name: str, values: NDArray[np.float64]) -> list[str]:
    if not precision.outliers_hide_differences(values):
        return []
    return [
        f"column {name!r} has outliers, from {np.nanmin(values):.6g} to {np.nanmax(values):.6g}, that hide the "
        "differences between its other values; if they mean something else, such as 0 for never, leave them empty"
    ]


def _integer_notes(column: Column, values: NDArray[np.float64], dropped: Sequence[str]) -> list[str]:
    name, drop = column.name, f"--drop {shlex.join([*dropped, column.name])}"
    notes = []
    step = precision.float64_step(values)
    if step is not None:
        notes.append(
            f"column {name!r} has integers so large that float64 rounds them to multiples of {step:,.0f}; if that "
            f"matters, treat them as categories with --categorical {shlex.quote(name)}, or leave them out with {drop}"
        )
    if _has_distinct_integers(column, values) and _counts_on(values):
        notes.append(
            f"column {name!r} has a different integer in each row, as an id has; ids do not generalise to new rows, so "
            f"if it is one, leave it out with {drop}"
        )
    return notes


def _dropped_notes(useless: dict[str, str], ids: dict[str, str], kept: Collection[str]) -> list[str]:
    notes = []
    if useless:
        notes.append(f"left out, as nothing can be learned from it: {_reasons(useless)}")
    if ids:
        notes.append(
            f"left out, as ids do not generalise to new rows: {_reasons(ids)}; use --keep {shlex.join([*kept, *ids])} "
            "if they mean something"
        )
    return notes


def _reasons(reasons: dict[str, str]) -> str:
    return ", ".join(f"{name!r} ({reason})" for name, reason in reasons.items())


def _useless(column: Column, values: NDArray[np.float64]) -> str | None:
    """Return why nothing can be learned from a column, if so."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "no value in any row"
    if not column.missing and (known == known[0]).all():
        value = f"{column.categories[0]!r:.40}" if column.categories else f"{known[0]:g}"
        if column.format is not None:
            value = text_of(float(known[0]), column.format)
        return f"{value} in every row"
    return None


def _identifies(column: Column, values: NDArray[np.float64]) -> str | None:
    """Return why a column only tells rows apart, if so: texts and ids."""
    if column.categories:
        known = values[~np.isnan(values)]
        counts = np.bincount(known.astype(np.int64))
        if counts.max() < categories.min_rows(len(known)):
            return f"{len(column.categories):,} different strings in {len(known):,} rows"
        return None
    if not _has_distinct_integers(column, values):
        return None
    if _ID_NAME.fullmatch(column.name):
        return "a different integer in each row"
    counts_rows = len(values) >= _COUNTED_ROWS and values[0] in {0, 1} and bool((np.diff(values) == 1).all())
    if counts_rows and not _TIME_NAME.fullmatch(column.name):
        return "the number of the row"
    return None


def _counts_on(values: NDArray[np.float64]) -> bool:
    """Return whether different integers rise or fall from row to row, or lie close together, as ids given in turn."""
    steps = np.diff(values)
    dense = values.max() - values.min() < _DENSE * len(values)
    return dense or bool((steps > 0).all() or (steps < 0).all())


def _has_distinct_integers(column: Column, values: NDArray[np.float64]) -> bool:
    integers = column.type == "numeric" and not column.missing and bool((values == np.rint(values)).all())
    return integers and len(np.unique(values)) == len(values)
