"""Values that a column accepts, and its errors for all others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cells import Cells
from service.errors import InvalidInput
from service.inference import columns
from service.inference.columns import FLOAT32_MAX, Boolean, Category, Column, Marked
from tests.service.published import TABLE

COUNTRIES = ("France", "Germany", "Italy", "United Kingdom")
NUMBER = Column("age", missing=False)
MAYBE_NUMBER = Column("age", missing=True)
BOOLEAN = Boolean("member", missing=False)
MAYBE_BOOLEAN = Boolean("member", missing=True)
CATEGORY = Category("country", COUNTRIES, missing=False, other=False)
MAYBE_CATEGORY = Category("country", COUNTRIES, missing=True, other=False)
OPEN_CATEGORY = Category("country", COUNTRIES, missing=False, other=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(COUNTRIES),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


def error_of(column: Column, value: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        column.number(3, value)
    assert (caught.value.fault.row, caught.value.fault.feature) == (3, column.name)
    start = f"row 3, feature {column.name!r} is "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


@pytest.mark.parametrize(
    ("column", "value", "number"),
    [
        (NUMBER, 3, 3),
        (NUMBER, -2.5, -2.5),
        (NUMBER, FLOAT32_MAX, FLOAT32_MAX),
        (NUMBER, -int(FLOAT32_MAX), -FLOAT32_MAX),
        (BOOLEAN, True, 1),
        (BOOLEAN, False, 0),
        (BOOLEAN, 1, 1),
        (BOOLEAN, 0.0, 0),
        (CATEGORY, "France", 0),
        (CATEGORY, "United Kingdom", 3),
        (OPEN_CATEGORY, "Italy", 2),
        (OPEN_CATEGORY, "Atlantis", 4),
        (OPEN_CATEGORY, "", 4),
    ],
)
def test_a_value_and_its_encoding(column: Column, value: object, number: float) -> None:
    assert column.number(0, value) == number


@pytest.mark.parametrize("column", [MAYBE_NUMBER, MAYBE_BOOLEAN, MAYBE_CATEGORY])
@pytest.mark.parametrize("value", [None, math.nan])
def test_a_missing_value_is_encoded_as_nan(column: Column, value: float | None) -> None:
    assert math.isnan(column.number(0, value))


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        (NUMBER, None, "null, and the model allows no missing value here; send a number"),
        (NUMBER, math.nan, "NaN, expected a finite number"),
        (NUMBER, math.inf, "infinite, expected a finite number"),
        (MAYBE_NUMBER, -math.inf, "infinite, expected a finite number"),
        (NUMBER, 3.5e38, "larger than float32 holds, expected at most 3.4e38"),
        (NUMBER, -(10**400), "larger than float32 holds, expected at most 3.4e38"),
        (NUMBER, True, "true, expected a number"),
        (NUMBER, "1.5", "the string '1.5', expected a number"),
        (NUMBER, [1], "a list, expected a number"),
        (NUMBER, {}, "an object, expected a number"),
        (BOOLEAN, None, "null, and the model allows no missing value here; send true or false"),
        (BOOLEAN, 2, "2, expected true or false (or 1 or 0)"),
        (BOOLEAN, 0.5, "0.5, expected true or false (or 1 or 0)"),
        (BOOLEAN, math.nan, "nan, expected true or false (or 1 or 0)"),
        (BOOLEAN, "true", "the string 'true', expected true or false (or 1 or 0)"),
        (CATEGORY, None, "null, and the model allows no missing value here; send a string"),
        (CATEGORY, 3, "3, expected a string such as 'France'"),
        (MAYBE_CATEGORY, 10**400, f"1{'0' * 59}, expected a string such as 'France'"),
        (OPEN_CATEGORY, True, "true, expected a string such as 'France'"),
        (CATEGORY, "Frnace", "the string 'Frnace', a category the model does not know; did you mean 'France'?"),
        (CATEGORY, "ITALY", "the string 'ITALY', a category the model does not know; did you mean 'Italy'?"),
        (
            CATEGORY,
            "Peru",
            "the string 'Peru', a category the model does not know; it knows 'France', 'Germany', 'Italy', "
            "'United Kingdom'",
        ),
        (
            Category("c", [f"item {index}" for index in range(12)], missing=False, other=False),
            "item 1x",
            "the string 'item 1x', a category the model does not know; "
            "did you mean 'item 1' or 'item 11' or 'item 10'?",
        ),
        (
            Category("c", [f"item {index}" for index in range(12)], missing=False, other=False),
            "?" * 1000,
            f"the string '{'?' * 59}, a category the model does not know; "
            "it knows 'item 0', 'item 1', 'item 2', 'item 3', 'item 4' and 7 more",
        ),
    ],
)
def test_an_invalid_value(column: Column, value: object, fault: str) -> None:
    assert error_of(column, value) == fault


@pytest.mark.parametrize(
    ("column", "number", "fault"),
    [
        (NUMBER, math.nan, "NaN, expected a finite number"),
        (MAYBE_NUMBER, math.inf, "infinite, expected a finite number"),
        (BOOLEAN, 2.0, "2, expected true or false (or 1 or 0)"),
        (CATEGORY, 4.0, "4, expected the code of a category, an integer from 0 to 3"),
        (CATEGORY, 1.5, "1.5, expected the code of a category, an integer from 0 to 3"),
        (OPEN_CATEGORY, -1.0, "-1, expected the code of a category, an integer from 0 to 4"),
        (CATEGORY, math.nan, "nan, expected the code of a category, an integer from 0 to 3"),
    ],
)
def test_an_invalid_number_in_an_array(column: Column, number: float, fault: str) -> None:
    assert column.error(3, number).fault.detail == f"row 3, feature {column.name!r} is {fault}"


@pytest.mark.parametrize(
    "column", [NUMBER, MAYBE_NUMBER, BOOLEAN, MAYBE_BOOLEAN, CATEGORY, MAYBE_CATEGORY, OPEN_CATEGORY]
)
@given(value=json_values)
def test_every_value_is_encoded_or_rejected(column: Column, value: object) -> None:
    try:
        number = column.number(0, value)
    except InvalidInput:
        assert len(error_of(column, value)) < 300
        return
    if math.isnan(number):
        assert column.missing
    else:
        assert column.lowest <= number <= column.highest
        assert not column.whole or number == int(number)


# Columns of a model whose table was read by rules

ZIPS = ("01067", "10115", "1067", "20095.0", "250.10")
RULES = Cells()
TEXT_NUMBER = Column("age", missing=False, cells=RULES)
TEXT_MAYBE = Column("age", missing=True, cells=RULES)
TEXT_BOOLEAN = Boolean("member", missing=True, cells=RULES)
TEXT_COUNTRY = Category("country", (*COUNTRIES, "NA"), missing=True, other=False, cells=RULES)
TEXT_JOB = Category("job", ("cook", "nurse"), missing=False, other=True, cells=RULES)
ZIP = Category("zip", ZIPS, missing=False, other=False, cells=RULES)
OPEN_ZIP = Category("zip", ZIPS, missing=False, other=True, cells=RULES)
MEMBER = Category("member", ("FALSE", "TRUE"), missing=False, other=False, cells=RULES)
SENTINEL = Marked("age", missing=True, cells=Cells(("-999", "unknown"), ("-999", "unknown")))
SPELLED_LIKE_A_MARK = Category("c", ("0", "-999.0"), missing=True, other=False, cells=Cells(("-999",), ("-999",)))
SENTINEL_CODE = Category("c", ("1", "2"), missing=True, other=True, cells=Cells(("-999",), ("-999",)))
EUROPEAN = Column("price", missing=False, cells=Cells(decimal=",", thousands="."))


@pytest.mark.parametrize(
    ("column", "value", "number"),
    [
        (TEXT_NUMBER, "12.5", 12.5),
        (TEXT_NUMBER, " 1e3\n", 1000),
        (TEXT_MAYBE, "", math.nan),
        (TEXT_MAYBE, " NA ", math.nan),
        (TEXT_MAYBE, "?", math.nan),
        (TEXT_MAYBE, None, math.nan),
        (EUROPEAN, "19.118,5", 19118.5),
        (EUROPEAN, 19.118, 19.118),
        (TEXT_BOOLEAN, "TRUE", 1),
        (TEXT_BOOLEAN, " false", 0),
        (TEXT_BOOLEAN, "0", 0),
        (TEXT_BOOLEAN, "N/A", math.nan),
        (TEXT_COUNTRY, " France ", 0),
        (TEXT_COUNTRY, "NA", 4),
        (TEXT_COUNTRY, "\u3000", math.nan),
        (TEXT_JOB, "NA", 2),
        (ZIP, "01067", 0),
        (ZIP, 10115, 1),
        (ZIP, 10115.0, 1),
        (ZIP, 20095, 3),
        (ZIP, 20095.0, 3),
        (OPEN_ZIP, 99999, 5),
        (OPEN_ZIP, 0.5, 5),
        (MEMBER, True, 1),
        (MEMBER, False, 0),
        (SENTINEL, -999, math.nan),
        (SENTINEL, -999.0, math.nan),
        (SENTINEL, "-999.0", math.nan),
        (SENTINEL, "unknown", math.nan),
        (SENTINEL, 7, 7),
        (SENTINEL_CODE, -999, math.nan),
        (SPELLED_LIKE_A_MARK, -999, math.nan),
        (SPELLED_LIKE_A_MARK, -999.0, 1.0),
        (SENTINEL_CODE, -998, 2),
    ],
)
def test_a_string_is_parsed_by_the_rules_of_the_table(column: Column, value: object, number: float) -> None:
    np.testing.assert_equal(column.number(0, value), number)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        (TEXT_NUMBER, "old", "the string 'old', expected a number"),
        (TEXT_NUMBER, "1,5", "the string '1,5', expected a number"),
        (TEXT_NUMBER, "1" * 500, f"the string '{'1' * 59}, expected a number"),
        (TEXT_NUMBER, "1e39", "larger than float32 holds, expected at most 3.4e38"),
        (TEXT_NUMBER, "-inf", "infinite, expected a finite number"),
        (
            TEXT_NUMBER,
            " NA",
            "the string ' NA', which stands for a missing value, and the model allows no missing value here; send a "
            "number",
        ),
        (TEXT_BOOLEAN, "yes", "the string 'yes', expected true or false (or 1 or 0)"),
        (
            TEXT_JOB,
            "",
            "the string '', which stands for a missing value, and the model allows no missing value here; send a "
            "string",
        ),
        (TEXT_JOB, 3, "3, expected a string such as 'cook'"),
        (TEXT_JOB, True, "true, expected a string such as 'cook'"),
        (ZIP, True, "true, expected a string such as '01067'"),
        (ZIP, "1067.0", "the string '1067.0', a category the model does not know; did you mean '1067' or '01067'?"),
        (OPEN_ZIP, 250.1, "250.1, which may be the category '250.10' or not; send it as a string"),
        (OPEN_ZIP, math.inf, "inf, expected a string such as '01067'"),
        (ZIP, 10**500, f"1{'0' * 59}, expected a string such as '01067'"),
    ],
)
def test_a_string_that_the_rules_do_not_parse_is_rejected(column: Column, value: object, fault: str) -> None:
    assert error_of(column, value) == fault


@pytest.mark.parametrize("column", [TEXT_MAYBE, TEXT_BOOLEAN, TEXT_COUNTRY, TEXT_JOB, ZIP, OPEN_ZIP, SENTINEL])
@given(value=json_values)
def test_every_value_is_encoded_or_rejected_by_the_rules(column: Column, value: object) -> None:
    test_every_value_is_encoded_or_rejected.hypothesis.inner_test(column, value)


def test_a_long_string_is_rejected_in_time() -> None:
    assert error_of(TEXT_NUMBER, "1" * 16_000_000 + "x").startswith("the string '111")


def test_the_columns_of_a_published_model() -> None:
    age, height, member, country, job = map(columns.of, TABLE)
    assert [type(column) for column in (age, height, member, country, job)] == [
        *(Column, Column, Boolean, Category, Category)
    ]
    assert [column.missing for column in (age, height, member, country, job)] == [True, False, True, True, False]
    assert (country.highest, job.highest) == (2, 2)  # the code of every other job
    assert (country.number(0, "Italy"), job.number(0, "pilot")) == (2, 2)


@pytest.mark.parametrize(
    ("categories", "cell", "code"),
    [
        (("1.5", "2"), "2.0", 1),  # as pandas writes a column of integers with missing ones
        (("1.0", "2.0"), "2", 1),
        (("2", "2.0"), "2.0", 1),
        (("false", "true"), "True", 1),
        (("FALSE", "TRUE"), "false", 0),
        (("1067", "2"), "01067", 2),
        (("2.5",), "2.50", 1),
        (("2",), "-2.0", 1),
    ],
)
def test_other_spellings_of_an_integer_or_a_boolean_in_a_text_table(
    categories: tuple[str, ...], cell: str, code: float
) -> None:
    column = Category("zone", categories, missing=True, other=True, cells=Cells())
    assert column.cell(0, cell) == column.cell_lookup[cell] == code


def test_a_mark_of_a_missing_value_is_no_spelling_of_a_category() -> None:
    column = Category("zone", ("-1.0",), missing=True, other=True, cells=Cells(missing_texts=("-1",)))
    assert math.isnan(column.cell(0, "-1"))
