"""The calendar in the graph, with Python's datetime as the oracle."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from training.data.dataset import Column
from training.model import calendar, features
from training.model.calendar import PARTS
from training.model.network import Network
from training.release import onnx_export, onnx_runtime

EPOCH = date(1970, 1, 1).toordinal()
WHEN = Column("when", "datetime", format="year-month-day", has_time=True)


def column_of(*days: float) -> NDArray[np.float64]:
    return np.array(days, np.float64)[:, None]


def parts_of(days: NDArray[np.float64]) -> NDArray[np.float64]:
    return torch.cat(calendar.parts_of(torch.from_numpy(days), PARTS), dim=1).numpy()


def test_each_day_from_1600_to_2400_is_its_date() -> None:
    ordinals = range(date(1600, 1, 1).toordinal(), date(2401, 1, 1).toordinal())
    expected = [(day.year, day.month, day.day, day.weekday()) for day in map(date.fromordinal, ordinals)]
    found = parts_of(np.arange(ordinals.start - EPOCH, ordinals.stop - EPOCH, dtype=np.float64)[:, None])
    assert np.array_equal(found[:, 1:5], np.array(expected, np.float64))


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1969-12-31T23:59:59"])
def test_a_moment_is_its_date_and_hour(text: str) -> None:
    moment = datetime.fromisoformat(text)
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    days = moment.toordinal() - EPOCH + seconds / 86_400
    (found,) = parts_of(column_of(days)).tolist()
    assert found[:5] == [days, moment.year, moment.month, moment.day, moment.weekday()]
    assert found[5] == pytest.approx(seconds / 3600, abs=1e-5)


def test_a_missing_date_has_no_parts() -> None:
    assert np.isnan(parts_of(column_of(np.nan))).all()


@pytest.mark.parametrize(
    ("column", "days", "parts"),
    [
        (WHEN, (0, 400.5, 1000.25), PARTS),
        (WHEN, (0.5, 40.5, 100.5), ("days", "month", "day", "weekday")),  # of one year, at one hour
        (WHEN, (18_262.1, 18_262.2, 18_262.3), ("days", "hour")),
        (WHEN, (0, 7, 14), ("days", "day")),
        (Column("x", "datetime", format="day-month-year"), (0, 400, 1000), PARTS[:-1]),
        (Column("x", "datetime", format="month-year"), (0, 31, 396), ("days", "year", "month")),
        (Column("x", "datetime", format="time"), (0.1, 0.2), ("hour",)),
    ],
)
def test_parts_that_say_nothing_are_left_out(column: Column, days: tuple[float, ...], parts: tuple[str, ...]) -> None:
    found = calendar.fitted([column], column_of(*days), np.arange(len(days)))
    assert found is not None
    assert [each.name for each in found.columns] == [f"{column.name} {part}" for part in parts]


def test_a_column_without_a_value_in_training_stays_one_input() -> None:
    found = calendar.fitted([WHEN], column_of(np.nan, np.nan), np.arange(2))
    assert found is not None
    assert found(torch.tensor([[3.0]], dtype=torch.float64)).shape == (1, 1)


def test_other_columns_come_first_and_one_part_is_flagged() -> None:
    columns = [
        Column("when", "datetime", True, format="year-month-day"),
        Column("size"),
        Column("at", "datetime", format="time"),
    ]
    rows = np.array([[0, 1, 0.25], [400, 2, 0.5], [np.nan, 3, 0.75]])
    found = calendar.fitted(columns, rows, np.arange(3))
    assert found is not None
    assert [(each.name, each.missing) for each in found.columns] == [
        ("size", False),
        ("when days", True),
        ("when year", False),
        ("when month", False),
        ("when day", False),
        ("when weekday", False),
        ("at hour", False),
    ]
    values = found(torch.from_numpy(rows)).numpy()
    assert values[:2].tolist() == [[1, 0, 1970, 1, 1, 3, 6], [2, 400, 1971, 2, 5, 4, 12]]
    assert values[2, [0, -1]].tolist() == [3, 18]
    assert np.isnan(values[2, 1:-1]).all()


def test_days_and_years_beyond_training_are_those_of_its_ends() -> None:
    found = calendar.fitted([WHEN], column_of(0, 400.5, 1000.25, 30_000), np.arange(3))
    assert found is not None
    late, early = found(torch.tensor([[20_000.75], [-20_000.0]], dtype=torch.float64)).tolist()
    assert late == [1000.25, 1972, 10, 4, 4, 18]
    assert early == [0, 1970, 3, 31, 2, 0]


def test_without_a_datetime_there_is_no_calendar() -> None:
    assert calendar.fitted([Column("x")], column_of(1, 2), np.arange(2)) is None


def test_the_graph_has_the_same_calendar() -> None:
    """Its days are those of 800 years, and a missing one."""
    columns = [Column("x"), Column("when", "datetime", True, format="year-month-day", has_time=True)]
    random = np.random.default_rng(0)
    days = np.append(random.uniform(-135_000, 157_000, 999), np.nan)
    rows = np.stack([random.normal(size=1000), days], axis=1)
    preparation, first = features.fitted(columns, rows, np.arange(900), bins=4)
    network = Network(preparation, nn.Sequential(first, nn.Linear(first.width, 2)), 2)
    assert preparation.width == 1 + 6 + 1
    graph = onnx_export.export(network, 2, classifies=False)
    with torch.no_grad():
        expected = network(torch.from_numpy(rows)).numpy()
    (found,) = onnx_runtime.run(graph, rows)
    assert np.allclose(found, expected, atol=1e-5)
