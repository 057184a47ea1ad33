"""The numbers of many rows at once, with those that columns give value by value as the oracle."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.inference.columnar import Columnar, Unusual
from service.inference.columns import Column, Pixel
from service.inference.schema import Schema
from tests.service.http.codecs.tables import FEATURES, GOOD, NAMES, SCHEMA

BY_NAME = Columnar(SCHEMA.columns, NAMES)
VALUES: dict[str, list[Any]] = {
    "income": [None, 1, -2.5, -999, -999.0, "12", "NA", " 7 ", 2**53, True, "x", math.nan],
    "height": [0, 1.5, -0.0, 2**53 + 1, 1e38, "1e3", None, math.inf, [], -999],
    "member": [None, True, False, 0, 1.0, -0.0, "yes", "false", 2, "NA"],
    "active": [True, False, 1, 0.0, "True", "0", None, 0.5],
    "city": [None, "Köln, Dom", "10115", 10115, 10115.0, " 10115 ", "NA", "", "Paris", True, 2.0**60, 2**60],
    "job": ["cook", "two\nlines", "other", "", None, 5, 1e300, {}],
}


def one_by_one(rows: list[dict[str, Any]]) -> list[list[float]] | None:
    try:
        return [[column.number(0, row[column.name]) for column in SCHEMA.columns] for row in rows]
    except InvalidInput:
        return None


def at_once(rows: list[dict[str, Any]]) -> list[list[float]] | None:
    try:
        return BY_NAME.read(rows).tolist()
    except (InvalidInput, *Unusual):
        return None


@given(st.data(), st.integers(1, 4))
def test_values_are_read_as_columns_read_them_or_left_to_the_columns(data: st.DataObject, count: int) -> None:
    rows = [{**GOOD, "income": 3} for _ in range(count)]
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from(NAMES))
        data.draw(st.sampled_from(rows))[name] = data.draw(st.sampled_from(VALUES[name]))
    found, expected = at_once(rows), one_by_one(rows)
    if found is not None:
        assert repr(found) == repr(np.array(expected, np.float64).tolist())  # -0.0 and NaN, too


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_usual_values_are_read_at_once(count: int) -> None:
    rows: list[dict[str, Any]] = [
        {"income": None, "height": "1.5", "member": None, "active": 1, "city": None, "job": "unknown"},
        {"income": -999, "height": -0.0, "member": False, "active": True, "city": 10115, "job": "cook"},
    ][:count] * (-(-count // 2))
    assert repr(at_once(rows)) == repr(np.array(one_by_one(rows), np.float64).tolist())


@pytest.mark.parametrize("count", [1, 2, 5000])
@pytest.mark.parametrize("value", [2**53 + 2, -(2**53) - 2, 1e300, math.inf, -math.inf, math.nan, None, 10**400])
def test_numbers_that_may_be_rounded_or_missing_are_left_to_the_columns(value: object, count: int) -> None:
    columnar = Columnar([Column("a", missing=True), Column("b", missing=False)], "ab")
    rows = [{"a": None, "b": -0.0}] * (count - 1) + [{"a": 2**53, "b": value}]
    with pytest.raises(Unusual):
        columnar.read(rows)
    with pytest.raises(Unusual):
        columnar.read([{"a": None, "b": 3_037_000_500 * 2**30}] * count)
    assert columnar.read([{"b": 2**53, "a": None}] * count).tolist()[0][1] == 2**53


def test_a_number_for_a_category_is_left_to_the_columns_if_it_may_be_rounded() -> None:
    for value in (2.0**53 + 2, -1e300, 2**60):  # 2**60 is none of its categories
        assert at_once([{**GOOD, "city": value}, GOOD]) is None
    assert at_once([{**GOOD, "city": 10115}, GOOD]) is not None


def test_a_row_without_a_value_is_unusual() -> None:
    with pytest.raises(Unusual):
        BY_NAME.read([GOOD, {name: GOOD[name] for name in NAMES if name != "city"}])


@pytest.mark.parametrize("width", [1, 2, 3])
def test_tables_of_numbers_alone_and_of_texts_alone_are_read(width: int) -> None:
    numbers = Columnar([Column(str(index), missing=False) for index in range(width)], range(width))
    assert numbers.read([[1.5] * width] * 3).tolist() == [[1.5] * width] * 3
    texts = Columnar([SCHEMA.columns[NAMES.index("job")]] * width, range(width))
    for count in (1, 3):
        assert texts.read([["two\nlines"] * width] * count).tolist() == [[1.0] * width] * count


def test_a_schema_reads_rows_by_name_and_by_position() -> None:
    schema = Schema((6,), SCHEMA.columns, 10)
    expected = one_by_one([GOOD])
    assert schema.by_name.read([GOOD]).tolist() == schema.by_position.read([list(GOOD.values())]).tolist() == expected
    assert schema.nulls == dict.fromkeys(feature.name for feature in FEATURES if feature.missing)


def test_pixels_are_read_if_all_of_them_are_in_bounds() -> None:
    columnar = Columnar([Pixel("a", missing=False), Pixel("b", missing=False)], range(2))
    assert columnar.read([[0, 255], [1.5, 2]]).tolist() == [[0, 255], [1.5, 2]]
    for value in (-1, 255.5, math.nan, None):
        for rows in ([[0, value]], [[0, 1], [value, 1]]):
            with pytest.raises(Unusual):
                columnar.read(rows)


@pytest.mark.parametrize("schema", [SCHEMA, Schema((1,), (Column("a", missing=False),), 10)])
def test_a_schema_can_be_sent_to_another_process(schema: Schema) -> None:
    again = pickle.loads(pickle.dumps(schema))  # noqa: S301 - its own
    row = GOOD | {"a": 1.5, "city": " 10115 "}
    assert again.by_name.read([row]).tolist() == schema.by_name.read([row]).tolist()
    assert again.by_position.read([[1.5]] if schema.width == 1 else [list(GOOD.values())]).shape == (1, schema.width)
