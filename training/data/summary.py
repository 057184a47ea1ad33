"""The columns of a data set as they were understood, over the training rows: in figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.data import precision
from training.data.dataset import Column, Dataset

HEAD: Final = ("column", "kind", "missing", "values in the training rows")
_LINES: Final = 100
_LOG_WIDTH: Final = 200  # letters; a file need not be broken into lines of 80
_SHOWN: Final = 6
_SHOWN_LETTERS: Final = 24


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one column: the share of rows where it is ``missing``; over the others its moments and bounds in its own unit
    (0 where a category's code has none, and where no row has a value), and for a categorical one the rows of each
    code."""

    missing: float
    mean: float
    std: float
    min: float
    max: float
    counts: tuple[int, ...]


def statistics(dataset: Dataset, rows: NDArray[np.int64]) -> list[Statistics]:
    """Of each column, over ``rows``."""
    inputs = dataset.inputs[rows]
    return [_statistics(column, inputs[:, place]) for place, column in enumerate(dataset.columns)]


def table(columns: Sequence[Column], found: Sequence[Statistics]) -> list[list[str]]:
    """A line for each column, of cells under `HEAD`."""
    return [
        [column.name, column.kind, f"{each.missing:.1%}" if column.missing else "never", _values(column, each)]
        for column, each in zip(columns, found, strict=True)
    ]


def show(console: Console, dataset: Dataset, rows: NDArray[np.int64]) -> None:
    """Print the columns, where they are not pixels, and what is to be said of the data, for the user to correct."""
    if len(dataset.shape) == 1:
        _show_columns(console, dataset, rows)
    for note in dataset.notes:
        console.print(note, markup=False)


def _show_columns(console: Console, dataset: Dataset, rows: NDArray[np.int64]) -> None:
    grid = Table(*HEAD, box=box.SIMPLE_HEAD, pad_edge=False)
    lines = table(dataset.columns, statistics(dataset, rows))
    for cells in lines[:_LINES]:
        grid.add_row(*map(Text, cells))
    wide = console if console.is_terminal else Console(file=console.file, width=_LOG_WIDTH)
    wide.print(grid)
    if len(lines) > _LINES:
        console.print(f"and {len(lines) - _LINES} more columns, all of them in the model's card\n")


def _statistics(column: Column, values: NDArray[Any]) -> Statistics:
    known = values[~np.isnan(values)].astype(np.float64)
    missing = 1 - len(known) / len(values)
    if column.codes:
        counts = np.bincount(known.astype(np.int64), minlength=column.codes)
        return Statistics(missing, 0.0, 0.0, 0.0, 0.0, tuple(counts.tolist()))
    if not len(known):
        return Statistics(missing, 0.0, 0.0, 0.0, 0.0, ())
    moments = (float(known.mean()), float(known.std()), float(known.min()), float(known.max()))
    return Statistics(missing, *moments, ())


def _values(column: Column, found: Statistics) -> str:
    if found.missing == 1:
        return "no value"
    if column.kind == "boolean":
        return f"true in {found.mean:.1%}"
    if not column.codes:
        lowest, highest, mean = (precision.shown(each, found.std) for each in (found.min, found.max, found.mean))
        return f"{lowest} to {highest}, mean {mean} ± {found.std:.4g}"
    named = sorted(zip(column.categories, found.counts, strict=False), key=lambda pair: -pair[1])
    words = [f"{_short(text)} {count:,}" for text, count in named[:_SHOWN]]
    if len(named) > _SHOWN:
        words.append(f"{len(named) - _SHOWN} more {sum(count for _, count in named[_SHOWN:]):,}")
    if column.other:
        words.append(f"all others {found.counts[-1]:,}")
    return ", ".join(words)


def _short(text: str) -> str:
    text = " ".join(text.split())  # a line break would end the table's line
    return text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
