"""The columns to predict from: what each holds, and which of them nothing can be learned from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data import categories, columns
from training.data.dataset import Column


def features_of(
    table: pa.Table, categorical: Sequence[str], dropped: Sequence[str]
) -> tuple[tuple[Column, ...], NDArray[np.float32], list[str], list[str]]:
    """What ``table``'s columns are, their values float32 (rows, columns), what the user is to be told of them, and why
    nothing can be learned from some of them.

    ``categorical`` are to be taken for categories whatever they hold; ``dropped`` were left out, which a remedy that
    names columns to ``--drop`` repeats.
    """
    pairs = list(zip(table.column_names, table.columns, strict=True))
    dates = [name for name, array in pairs if name not in categorical and columns.is_date(array)]
    faults = _dates(dates, dropped)
    pairs = [(name, array) for name, array in pairs if name not in dates]
    found, notes = [], []
    inputs = np.empty((table.num_rows, len(pairs)), np.float32)
    useless: dict[str, str] = {}
    for place, (name, array) in enumerate(pairs):
        column, values = columns.column_of(name, array, categorical=name in categorical)
        found.append(column)
        inputs[:, place] = values
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
    return tuple(found), inputs, notes, faults


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
        if counts.max() < categories.fewest_rows(len(values)):
            return f"{len(column.categories):,} different texts in {len(known):,} rows"
    return None


def _looks_like_an_id(column: Column, values: NDArray[np.float64]) -> bool:
    whole = column.kind == "numeric" and not column.missing and bool((values == np.rint(values)).all())
    return whole and len(np.unique(values)) == len(values)
