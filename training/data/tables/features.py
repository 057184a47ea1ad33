"""The features of a table: types, values, and errors for those that carry no information."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data import categories, precision
from training.data.dataset import Column
from training.data.tables import columns


@dataclass(frozen=True, slots=True)
class Features:
    """``inputs`` (rows, columns) are float32, or float64 if float32 would lose differences between values.

    ``notes`` are for the user to check; with ``errors`` the features cannot be used.
    """

    columns: tuple[Column, ...]
    inputs: NDArray[Any]
    notes: list[str]
    errors: list[str]


def features_of(table: pa.Table, categorical: Sequence[str], dropped: Sequence[str]) -> Features:
    """Return all columns of ``table`` as features.

    Columns in ``categorical`` are categories whatever they hold. ``dropped`` columns are no longer in the table; a
    remedy that suggests ``--drop`` repeats them.
    """
    pairs = list(zip(table.column_names, table.columns, strict=True))
    dates = [name for name, array in pairs if name not in categorical and columns.is_date(array)]
    pairs = [(name, array) for name, array in pairs if name not in dates]
    found: list[Column] = []
    notes: list[str] = []
    inputs = np.empty((table.num_rows, len(pairs)), np.float64)
    need_float64: list[str] = []
    useless: dict[str, str] = {}
    for index, (name, array) in enumerate(pairs):
        column, values = columns.to_feature(name, array, categorical=name in categorical)
        found.append(column)
        inputs[:, index] = values
        if column.type == "numeric" and precision.needs_float64(values):
            need_float64.append(name)
            notes += _outlier_notes(name, values)
        notes += _integer_notes(column, values, dropped)
        if reason := _useless(column, values):
            useless[name] = reason
    errors = [*_date_errors(dates, dropped), *_useless_errors(useless, [*dropped, *dates])]
    if not need_float64:
        return Features(tuple(found), inputs.astype(np.float32), notes, errors)
    notes.append(
        f"float32 cannot distinguish all values of {' and '.join(map(repr, need_float64))}: inputs are float64"
    )
    return Features(tuple(found), inputs, notes, errors)


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
    if _looks_like_an_id(column, values):
        notes.append(
            f"column {name!r} has a different integer in each row, as an id has; ids do not generalise to new rows, so "
            f"if it is one, leave it out with {drop}"
        )
    return notes


def _date_errors(dates: Sequence[str], dropped: Sequence[str]) -> list[str]:
    if not dates:
        return []
    return [
        f"{' and '.join(map(repr, dates))} hold{'s' * (len(dates) == 1)} dates or times, expected numbers; convert "
        "them, such as to an age in days, a month or an hour, or leave them out with "
        f"--drop {shlex.join([*dropped, *dates])}"
    ]


def _useless_errors(useless: dict[str, str], dropped: Sequence[str]) -> list[str]:
    if not useless:
        return []
    reasons = ", ".join(f"{name!r} ({reason})" for name, reason in useless.items())
    return [f"nothing can be learned from {reasons}; use --drop {shlex.join([*dropped, *useless])}"]


def _useless(column: Column, values: NDArray[np.float64]) -> str | None:
    """Return why nothing can be learned from a column, if so."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "no value in any row"
    if not column.missing and (known == known[0]).all():
        value = f"{column.categories[0]!r:.40}" if column.categories else f"{known[0]:g}"
        return f"{value} in every row"
    if column.categories:
        counts = np.bincount(known.astype(np.int64))
        if counts.max() < categories.min_rows(len(values)):
            return f"{len(column.categories):,} different strings in {len(known):,} rows"
    return None


def _looks_like_an_id(column: Column, values: NDArray[np.float64]) -> bool:
    integers = column.type == "numeric" and not column.missing and bool((values == np.rint(values)).all())
    return integers and len(np.unique(values)) == len(values)
