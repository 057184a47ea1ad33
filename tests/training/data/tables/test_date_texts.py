"""Columns of texts are read as the server reads each text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.dates import EXAMPLES, PATTERNS, DateFormat, days_of
from training.data.tables import date_texts

# Texts of the patterns themselves, and such parts in any order.
PARTS = st.sampled_from(
    (
        *"0123456789 -/.,:Tt'",
        *("2020", "1969", "68", "13", "31", "29", "Jan", "feb", "MARCH", "sept", "\u017fep", "Mon,", "wednesday"),
        *("Z", "utc", "+01:00", "-0130", "+2", "PM", "a.m.", "th", "\n", "é"),
        *("EST", " CST", "GMT+2", " Europe/Berlin", "[Europe/Berlin]", " (CET)", "-W05", "W", "20200105T1000"),
    )
)
odd_texts = st.lists(PARTS, max_size=14).map("".join)


def texts_of(form: DateFormat) -> st.SearchStrategy[str]:
    return st.one_of(*(st.from_regex(f"(?ia:{pattern})", fullmatch=True) for pattern in PATTERNS[form]))


def assert_equal(texts: list[str], form: DateFormat) -> None:
    expected = [days_of(text, form) for text in texts]
    found = date_texts.days_of_distinct(pa.array(texts, pa.string()), form)
    assert [None if np.isnan(each) else each for each in found.tolist()] == expected


@pytest.mark.parametrize("form", EXAMPLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_both_sides_read_the_same(form: DateFormat, data: st.DataObject) -> None:
    assert_equal(data.draw(st.lists(texts_of(form) | odd_texts, max_size=20)), form)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes().map(str), min_size=1))
@example(["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"])
def test_both_sides_read_the_same_moments(texts: list[str]) -> None:
    assert_equal(texts, "year-month-day")


def test_a_column_keeps_its_missing_values() -> None:
    column = pa.chunked_array([["2020-01-05", None], ["no date", "2020-01-05"]])
    assert date_texts.days_of(column, "year-month-day").tolist() == pytest.approx(
        [18266.0, np.nan, np.nan, 18266.0], nan_ok=True
    )


def test_an_empty_column_has_no_days() -> None:
    assert date_texts.days_of(pa.chunked_array([], pa.string()), "time").tolist() == []
