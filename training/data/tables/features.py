"""The features of a table: types, values, and errors for those that carry no information."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.dates import text_of
from training.data import categories, precision
from training.data.dataset import Column
from training.data.tables import columns
from training.data.tables.parsing import Dates


@dataclass(frozen=True, slots=True)
class Features:
    """``inputs`` (rows, columns) are float32, or float64 if float32 would lose differences between values.

    ``notes`` are for the user to check; with ``errors`` the features cannot be used.
    """

    columns: tuple[Column, ...]
    inputs: NDArray[Any]
    notes: list[str]
    errors: list[str]


def features_of(
    table: pa.Table,
    categorical: Sequence[str],
    dropped: Sequence[str],
    dates: Mapping[str, Dates] = MappingProxyType({}),
) -> Features:
    """Return all columns of ``table`` as features.

    Columns in ``categorical`` are categories whatever they hold, and those in ``dates`` are days. ``dropped`` columns
    are no longer in the table; a remedy that suggests ``--drop`` repeats them.
    """
    pairs = list(zip(table.column_names, table.columns, strict=True))
    found: list[Column] = []
    notes: list[str] = []
    inputs = np.empty((table.num_rows, len(pairs)), np.float64)
    need_float64: list[str] = []
    useless: dict[str, str] = {}
    for index, (name, array) in enumerate(pairs):
        column, values = columns.to_feature(name, array, categorical=name in categorical)
        if name in dates:
            column = replace(column, type="datetime", format=dates[name].format, has_time=dates[name].has_time)
        found.append(column)
        inputs[:, index] = values
        if column.type == "numeric" and precision.needs_float64(values):
            need_float64.append(name)
            notes += _outlier_notes(name, values)
        notes += _integer_notes(column, values, dropped)
        if reason := _useless(column, values):
            useless[name] = reason
    errors = _useless_errors(useless, dropped)
    if not need_float64 and not dates:
        return Features(tuple(found), inputs.astype(np.float32), notes, errors)
    if need_float64:
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
        if column.format is not None:
            value = text_of(float(known[0]), column.format)
        return f"{value} in every row"
    if column.categories:
        counts = np.bincount(known.astype(np.int64))
        if counts.max() < categories.min_rows(len(values)):
            return f"{len(column.categories):,} different strings in {len(known):,} rows"
    return None


def _looks_like_an_id(column: Column, values: NDArray[np.float64]) -> bool:
    integers = column.type == "numeric" and not column.missing and bool((values == np.rint(values)).all())
    return integers and len(np.unique(values)) == len(values)
