"""What --time can order, and how."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from training.data.tables import times
from training.data.tables.options import TableOptions


def order(values: list[Any], arrow_type: Any = None) -> list[float] | None:
    options = TableOptions()
    found = times.order_of("t", pa.chunked_array([pa.array(values, arrow_type)]), options.rules(), options.dates())
    return None if found is None else found.numbers.tolist()


@pytest.mark.parametrize(
    "values",
    [
        ["2", "10", "1e3"],
        ["2020-05-01", "2020-10-01", "2021-01-01"],
        ["2020-05-01 08:00", "2020-05-01 10:00:00", "2020-05-01T10:00:00.5"],
        ["2020-05-01T08:00:00Z", "2020-05-01T08:00:00-03:00", "2020-05-01T13:00:00+01:00"],
        ["2020-05", "2020-10", "2021-01"],
        ["2020-W05", "2020-W40", "2021-W01"],
        ["2020Q1", "2020Q4", "2021Q2"],
        ["2020/05/01", "2020/10/01", "2021/01/01"],
        ["2020-5-1", "2020-10-1", "2021-01-01"],
        ["31/05/2020", "01/10/2020", "01/01/2021"],
        ["5 May 2020 1:00 PM", "5 May 2020 2:00 PM", "1 Jan 2021 1:00 AM"],
        [2, 10, 1000],
        [date(2020, 5, 1), date(2020, 10, 1), date(2021, 1, 1)],
        [datetime(2020, 5, 1, tzinfo=UTC), datetime(2020, 5, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)],
    ],
)
def test_the_numbers_are_in_the_order_of_the_times(values: list[Any]) -> None:
    first, second, third = order(values) or []
    assert first < second < third
    last, blank, same, before = order([values[2], None, values[2], values[0]]) or []
    assert (last, before) == (same, pytest.approx(before))
    assert before < last
    assert np.isnan(blank)


def test_times_of_one_instant_are_equal() -> None:
    one, other = order(["2020-05-01T10:00:00+02:00", "2020-05-01T08:00:00Z"]) or []
    assert one == other


@pytest.mark.parametrize(
    "values",
    [["2020-05-01", "soon"], ["May", "June"], ["10:30", "11:30"], [True, False]],
)
def test_what_has_no_order_is_none(values: list[Any]) -> None:
    assert order(values) is None


@pytest.mark.parametrize(("date_order", "rises"), [("auto", True), ("day", False)])
def test_an_ambiguous_order_of_dates_has_a_note(date_order: str, rises: bool) -> None:
    options = TableOptions(date_order=date_order)
    array = pa.chunked_array([["01/05/2020", "02/04/2020"]])
    found = times.order_of("t", array, options.rules(), options.dates())
    assert found is not None
    assert (found.numbers[0] < found.numbers[1]) == rises
    assert "--date-order" in found.notes[0]
