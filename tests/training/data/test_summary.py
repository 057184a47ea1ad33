"""Statistics of the columns over the training rows only, and their table."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tests.training import small
from training.data import summary
from training.data.dataset import Column

NAN = np.nan
COLUMNS = (
    Column("age", missing=True),
    Column("member [2020]", "boolean"),
    Column("job", "categorical", missing=True, categories=("cook", "a nurse who\nworks at night only"), other=True),
)
INPUTS = [[20, 1, 0], [NAN, 0, 1], [40, 1, 1], [30, 1, NAN], [30, 0, 2], [999, 0, 2]]
DATASET = small.classes(np.array(INPUTS, np.float32), [0, 1] * 3, columns=COLUMNS)
TRAIN = np.arange(5)
LINES = [
    ["age", "numeric", "20.0%", "20 to 40, mean 30 ± 7.071"],
    ["member [2020]", "boolean", "never", "true in 60.0%"],
    ["job", "categorical", "20.0%", "a nurse who works at ni… 2, cook 1, all others 1"],
]


def test_statistics_ignore_missing_values() -> None:
    age, member, job = summary.statistics(DATASET, TRAIN)
    assert (age.missing, age.mean, age.min, age.max) == (pytest.approx(0.2), 30, 20, 40)
    assert age.std == pytest.approx(np.std([20, 40, 30, 30]))
    assert (member.missing, member.mean) == (0, pytest.approx(0.6))
    assert (job.missing, job.mean, job.counts) == (pytest.approx(0.2), 0, (1, 2, 1))


def test_statistics_without_any_value_are_zero() -> None:
    found = summary.statistics(DATASET, np.array([1]))[0]
    assert (found.missing, found.mean, found.std, found.min, found.max) == (1, 0, 0, 0, 0)


def test_table_says_no_value() -> None:
    inputs = np.full((4, 3), NAN, np.float32)
    inputs[3] = [7, 1, 0]
    columns = tuple(replace(column, missing=True) for column in COLUMNS)
    dataset = small.classes(inputs, [0, 1, 0, 1], columns=columns)
    lines = summary.table(columns, summary.statistics(dataset, TRAIN[:3]))
    assert [line[2:] for line in lines] == [["100.0%", "no value"]] * 3


def test_numbers_far_from_zero_have_enough_digits() -> None:
    dataset = small.classes(1.7e9 + np.array([[1.0], [1234.0]]), [0, 1])
    (line,) = summary.table(dataset.columns, summary.statistics(dataset, np.arange(2)))
    assert line[3] == "1700000001 to 1700001234, mean 1700000618 ± 616.5"


def test_codes_and_prices_are_written_in_full() -> None:
    dataset = small.classes(np.array([[10115.0, 1e9], [13353.0, 3e9]]), [0, 1])
    lines = summary.table(dataset.columns, summary.statistics(dataset, np.arange(2)))
    assert [line[3] for line in lines] == [
        "10115 to 13353, mean 11734 ± 1619",
        "1e+09 to 3e+09, mean 2e+09 ± 1e+09",
    ]


def test_a_narrow_terminal_shortens_long_names() -> None:
    file = io.StringIO()
    name = "how the customer found out about us"
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    summary.show(console, replace(DATASET, columns=(replace(COLUMNS[0], name=name), *COLUMNS[1:])), TRAIN)
    lines = file.getvalue().splitlines()
    assert lines[2] == "how the customer found ou…  numeric        20.0%  20 to 40, mean 30 ± 7.071     "
    assert max(map(len, lines)) == 80


def test_table_has_a_line_per_column() -> None:
    assert summary.table(COLUMNS, summary.statistics(DATASET, TRAIN)) == LINES


def test_least_frequent_categories_are_counted_together() -> None:
    column = Column("job", "categorical", categories=tuple("abcdefgh"))
    inputs = np.repeat(np.arange(8), np.arange(1, 9)).astype(np.float32)[:, None]
    dataset = small.classes(inputs, np.zeros(len(inputs)), columns=(column,))
    (line,) = summary.table(dataset.columns, summary.statistics(dataset, np.arange(len(inputs))))
    assert line[3] == "h 8, g 7, f 6, e 5, d 4, c 3, 2 more 3"


def test_columns_and_notes_are_printed_unchanged() -> None:
    file = io.StringIO()
    console = Console(file=file, width=40, soft_wrap=True)  # a log's lines are not wrapped
    summary.show(console, replace(DATASET, notes=("column 'x [y]' is an id",)), TRAIN)
    shown = [line.split("  ") for line in file.getvalue().splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in shown]
    assert [line for line in cells if len(line) == 4] == [list(summary.HEAD), *LINES]
    assert cells[-1] == ["column 'x [y]' is an id"]
