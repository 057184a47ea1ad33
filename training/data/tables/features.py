"""The columns to predict from: what each holds, and which of them nothing can be learned from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data import categories, precision
from training.data.dataset import Column
from training.data.tables import columns


def features_of(
    table: pa.Table, categorical: Sequence[str], dropped: Sequence[str]
) -> tuple[tuple[Column, ...], NDArray[Any], list[str], list[str]]:
    """What ``table``'s columns are, their values (rows, columns), what the user is to be told of them, and why nothing
    can be learned from some of them.

    The values are float32, or float64 where float32 could not hold those of a column apart.
    ``categorical`` are to be taken for categories whatever they hold; ``dropped`` were left out, which a remedy that
    names columns to ``--drop`` repeats.
    """
    pairs = list(zip(table.column_names, table.columns, strict=True))
    dates = [name for name, array in pairs if name not in categorical and columns.is_date(array)]
    faults = _dates(dates, dropped)
    pairs = [(name, array) for name, array in pairs if name not in dates]
    found, notes = [], []
    inputs: NDArray[Any] = np.empty((table.num_rows, len(pairs)), np.float64)
    blurred: list[str] = []
    useless: dict[str, str] = {}
    for place, (name, array) in enumerate(pairs):
        column, values = columns.column_of(name, array, categorical=name in categorical)
        found.append(column)
        inputs[:, place] = values
        if column.type == "numeric":
            if precision.needs_float64(values):
                blurred.append(name)
                notes += _outliers(name, values)
            notes += _coarse(name, values, dropped)
        if fault := _fault(column, values):
            useless[name] = fault
        if _looks_like_an_id(column, values):
            notes.append(
                f"column {name!r} has another whole number in each row, as an id has, from which a network learns "
                "nothing that holds for new rows; if it is one, leave it out with "
                f"--drop {shlex.join([*dropped, name])}"
            )
    if useless:
        reasons = ", ".join(f"{name!r} ({fault})" for name, fault in useless.items())
        faults.append(
            f"nothing can be learned from {reasons}; leave out with --drop {shlex.join([*dropped, *dates, *useless])}"
        )
    if not blurred:
        return tuple(found), inputs.astype(np.float32), notes, faults
    names = " and ".join(map(repr, blurred))
    notes.append(f"float32 cannot hold the values of {names} apart: rows are taken in float64")
    return tuple(found), inputs, notes, faults


def _outliers(name: str, values: NDArray[np.float64]) -> list[str]:
    if not precision.outliers_hide_differences(values):
        return []
    return [
        f"column {name!r} has values so far from the others, from {np.nanmin(values):.6g} to {np.nanmax(values):.6g}, "
        "that what tells those apart is lost beside them; where they stand for something else, such as 0 for never, "
        "leave them empty"
    ]


def _coarse(name: str, values: NDArray[np.float64], dropped: Sequence[str]) -> list[str]:
    step = precision.float64_step(values)
    if step is None:
        return []
    return [
        f"column {name!r} has whole numbers so large that float64 rounds them to steps of {step:,.0f}; where that "
        f"matters, take them for categories with --categorical {shlex.quote(name)}, or leave them out with --drop "
        f"{shlex.join([*dropped, name])}"
    ]


def _dates(names: Sequence[str], dropped: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [
        f"{' and '.join(map(repr, names))} hold{'s' * (len(names) == 1)} dates or times, which no network takes as "
        "they are; replace them by numbers that matter (an age in days, a month, an hour), or leave them out with "
        f"--drop {shlex.join([*dropped, *names])}"
    ]


def _fault(column: Column, values: NDArray[np.float64]) -> str | None:
    """Why nothing can be learned from a column, if so."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "no value in any row"
    if not column.missing and (known == known[0]).all():
        shown = column.categories[0] if column.categories else f"{known[0]:g}"
        return f"{shown!r:.40} in every row" if column.categories else f"{shown} in every row"
    if column.categories:
        counts = np.bincount(known.astype(np.int64))
        if counts.max() < categories.min_rows(len(values)):
            return f"{len(column.categories):,} different texts in {len(known):,} rows"
    return None


def _looks_like_an_id(column: Column, values: NDArray[np.float64]) -> bool:
    whole = column.type == "numeric" and not column.missing and bool((values == np.rint(values)).all())
    return whole and len(np.unique(values)) == len(values)
