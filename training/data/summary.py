"""Statistics of a data set's columns over the training rows, as numbers and as a printed table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service import dates
from training.data import precision
from training.data.dataset import Column, Dataset
from training.data.streamed import Statistics

HEAD: Final = ("column", "type", "missing", "values in training")
_MAX_LINES: Final = 100
_LOG_WIDTH: Final = 200  # characters, where there is no terminal to be as wide as
_NAME_WIDTH: Final = 26  # at a terminal
_MAX_CATEGORIES: Final = 6
_MAX_CHARACTERS: Final = 24


def statistics(dataset: Dataset, rows: NDArray[np.int64]) -> list[Statistics]:
    """Return those of each column over the training ``rows``, or over all that a streamed table has in its files."""
    if dataset.streamed is not None:
        return list(dataset.streamed.statistics)
    return [_statistics(column, dataset.inputs[rows, index]) for index, column in enumerate(dataset.columns)]


def table(columns: Sequence[Column], found: Sequence[Statistics]) -> list[list[str]]:
    """Return a line for each column, with cells as in `HEAD`."""
    return [
        [column.name, column.type, f"{each.missing:.1%}" if column.missing else "never", _values(column, each)]
        for column, each in zip(columns, found, strict=True)
    ]


def show(console: Console, dataset: Dataset, rows: NDArray[np.int64]) -> None:
    """Print the columns, unless they are pixels, and the notes, so that the user can check them."""
    if len(dataset.shape) == 1:
        _show_columns(console, dataset, rows)
    for note in dataset.notes:
        console.print(note, markup=False)


def _show_columns(console: Console, dataset: Dataset, rows: NDArray[np.int64]) -> None:
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    name, kind, missing, values = HEAD
    grid.add_column(name, no_wrap=True, max_width=_NAME_WIDTH if console.is_terminal else None)
    grid.add_column(kind, no_wrap=True)
    grid.add_column(missing, no_wrap=True, justify="right")
    grid.add_column(values)
    lines = table(dataset.columns, statistics(dataset, rows))
    for cells in lines[:_MAX_LINES]:
        grid.add_row(*map(Text, cells))
    wide = console if console.is_terminal else Console(file=console.file, width=_LOG_WIDTH)
    wide.print(grid)
    console.print()
    if len(lines) > _MAX_LINES:
        console.print(f"and {len(lines) - _MAX_LINES} more columns; the model card lists all\n")


def _statistics(column: Column, values: NDArray[Any]) -> Statistics:
    known = values[~np.isnan(values)].astype(np.float64)
    missing = 1 - len(known) / len(values)
    if column.codes:
        counts = np.bincount(known.astype(np.int64), minlength=column.codes)
        return Statistics(missing, counts=tuple(counts.tolist()))
    if not len(known):
        return Statistics(missing)
    return Statistics(missing, float(known.mean()), float(known.std()), float(known.min()), float(known.max()))


def _values(column: Column, found: Statistics) -> str:
    if found.missing == 1:
        return "no value"
    if column.type == "boolean":
        return f"true in {found.mean:.1%}"
    if column.format is not None:
        return " to ".join(_moment(dates.text_of(each, column.format)) for each in (found.min, found.max))
    if not column.codes:
        lowest, highest, mean = (precision.format_value(each, found.std) for each in (found.min, found.max, found.mean))
        return f"{lowest} to {highest}, mean {mean} ± {found.std:.4g}"
    named = sorted(zip(column.categories, found.counts, strict=False), key=lambda pair: -pair[1])
    parts = [f"{_shorten(name)} {count:,}" for name, count in named[:_MAX_CATEGORIES]]
    if len(named) > _MAX_CATEGORIES:
        parts.append(f"{len(named) - _MAX_CATEGORIES} more {sum(count for _, count in named[_MAX_CATEGORIES:]):,}")
    if column.other:
        parts.append(f"all others {found.counts[-1]:,}")
    return ", ".join(parts)


def _moment(text: str) -> str:
    """A date and time as people write it: without seconds if they are 0."""
    day, _, time = text.partition("T")
    return f"{day} {time.removesuffix(':00') if time.count(':') == 2 else time}".rstrip()


def _shorten(text: str) -> str:
    text = " ".join(text.split())  # a line break would end the table's line
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
