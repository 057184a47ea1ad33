"""Parsing of one cell, with Python's float as the oracle for numbers."""

from __future__ import annotations

import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import cells
from service.cells import BLANKS, MARKS, NUMBER_MAX_LETTERS, THOUSANDS, Cells, number_of, spellings_of


@pytest.mark.parametrize(
    ("header", "name"),
    [(" age ", "age"), ("years  old", "years  old"), ("age\n (years)", "age (years)"), ("prix\xa0TTC", "prix TTC")],
)
def test_a_name_is_in_one_line(header: str, name: str) -> None:
    assert cells.name_of(header) == name


def test_blanks_are_unicode_white_space() -> None:
    assert set(BLANKS) == {chr(code) for code in range(0x110000) if chr(code).isspace()}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-1.5", -1.5),
        ("+.5", 0.5),
        ("5.", 5),
        ("1e-3", 0.001),
        ("007", 7),
        ("1e400", math.inf),
        ("-Infinity", -math.inf),
        *(
            (text, None)
            for text in (
                "",
                "nan",
                "1_000",
                "0x10",
                "1,5",
                "1.2.3",
                "1e",
                "e5",
                ".",
                "+",
                "12 ",
                "\uff11\uff12",
                "12\n",
            )
        ),
        ("1" * NUMBER_MAX_LETTERS, math.inf),
        ("1" * (NUMBER_MAX_LETTERS + 1), None),
    ],
)
def test_a_plain_number(text: str, number: float | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "number"),
    [
        ("12,5", ",", "", 12.5),
        ("12.5", ",", "", None),
        ("19.118", ",", ".", 19118),
        ("1.234.567,89", ",", ".", 1234567.89),
        ("1234567,89", ",", ".", 1234567.89),
        ("12.34", ",", ".", None),
        ("0.126", ",", ".", None),
        ("1,200", ".", ",", 1200),
        ("1,2000", ".", ",", None),
        ("1'200'000.5", ".", "'", 1200000.5),
        ("1 200", ".", " ", 1200),
        ("1\u202f200", ".", " ", 1200),
        ("1\xa0200,5", ",", " ", 1200.5),
        ("1\u2019200.5", ".", "'", 1200.5),
        ("12,34,567.5", ".", ",", 1234567.5),
        ("1,00,00", ".", ",", None),
    ],
)
def test_a_number_with_other_marks(text: str, decimal: str, thousands: str, number: float | None) -> None:
    assert number_of(text, decimal, thousands) == number


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "number"),
    [
        ("$72,147", ".", ",", 72147),
        ("-$5", ".", "", -5),
        ("$-5", ".", "", -5),
        ("\u22125.5", ".", "", -5.5),
        ("(1,200)", ".", ",", -1200),
        ("($1,200)", ".", ",", -1200),
        ("96%", ".", "", 96),
        ("12,5 %", ",", "", 12.5),
        ("1.234,50 €", ",", ".", 1234.5),
        ("1\xa0234,5\xa0€", ",", " ", 1234.5),
        ("USD 12", ".", "", 12),
        ("12 EUR", ".", "", 12),
        ("3e2", ".", "", 300),
        ("1.234,56-", ",", ".", -1234.56),
        ("40-", ".", "", -40),
        ("40 \u2212", ".", "", -40),
        ("$ 40-", ".", "", -40),
        ("40,00- EUR", ",", "", -40),
        ("40 €-", ".", "", -40),
        ("-0", ".", "", -0.0),
        ("\u20135", ".", "", -5),
        ("96,- €", ",", "", 96),
        ("1.200,--", ",", ".", 1200),
        ("CHF 1'200.\u2013", ".", "'", 1200),
        ("-5,-", ",", "", -5),
        ("Rs. 1,23,456", ".", ",", 123456),
        *(
            (text, ".", ",", None)
            for text in (
                "-$-5",
                "(-5)",
                "(5",
                "5)",
                "$",
                "%",
                "5%%",
                "$1.2M",
                "USDEUR 5",
                "()",
                "-40-",
                "(40-)",
                "40--",
                "4-0",
            )
        ),
    ],
)
def test_a_number_with_symbols(text: str, decimal: str, thousands: str, number: float | None) -> None:
    assert Cells(decimal=decimal, thousands=thousands, symbols=True).number(text) == number
    if re.search("[$€%()\u2212A-Z]", text):
        assert Cells(decimal=decimal, thousands=thousands).number(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12 kg", 12),
        ("12kg", 12),
        ("12\xa0sq. ft.", 12),
        ("1,200 kg", 1200),
        ("-1.5e3 kg", -1500),
        ("(12 kg)", -12),
        ("12 kg-", -12),
        ("12", 12),
        *(
            (text, None)
            for text in ("12 lb", "12 KG", "12 kg kg", "12  kg", "$12", "12%", "12 g", "kg", "12k", "12 sqxft.")
        ),
    ],
)
def test_a_number_with_a_unit(text: str, number: float | None) -> None:
    assert Cells(thousands=",", symbols=True, units=("kg", "sq. ft.")).number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.2k", 1200),
        ("3M", 3_000_000),
        ("500", 500),
        ("1.1 million", 1_100_000),
        ("$1.5bn", 1_500_000_000),
        ("2.5k €", 2500),
        ("-2 lakh", -200_000),
        ("1e3", 1000),
        *((text, None) for text in ("1e3k", "1.2kk", "1.2m", "k", "1.2  k", "3MB")),
    ],
)
def test_a_number_with_a_multiple(text: str, number: float | None) -> None:
    assert Cells(symbols=True, multiples=True).number(text) == number
    if number not in (None, 500, 1000):
        assert Cells(symbols=True).number(text) is None


def test_a_unit_may_begin_as_a_multiple() -> None:
    rules = Cells(symbols=True, units=("MB", "kkg", "kg"), multiples=True)
    assert [rules.number(text) for text in ("5 MB", "5M MB", "1e3kkg", "5kkg")] == [5, 5e6, 1000, 5]


@given(st.floats(allow_nan=False) | st.integers(-(10**30), 10**30))
def test_numbers_written_by_python_are_read_back(value: float) -> None:
    assert number_of(str(value)) == float(value)


@given(st.text(alphabet="0123456789.,-+eE '", max_size=8), st.sampled_from(".,"), st.sampled_from(["", *THOUSANDS]))
def test_every_number_has_the_value_of_float(text: str, decimal: str, thousands: str) -> None:
    if decimal == thousands:
        return
    number = number_of(text, decimal, thousands)
    assert (number is not None) == bool(re.fullmatch(cells.number_pattern(decimal, thousands), text))
    if number is not None:
        assert number == float(text.replace(thousands or "_", "").replace(decimal, "."))


@pytest.mark.parametrize(
    ("value", "spellings"),
    [
        (10115, ("10115", "10115.0")),
        (10115.0, ("10115.0", "10115")),
        (-0.0, ("-0.0", "0")),
        (250.1, ("250.1",)),
        (1e300, ("1e+300",)),
        (12345678901234567890, ("12345678901234567890", "12345678901234567890.0")),
        (True, ("true", "True", "TRUE")),
        (False, ("false", "False", "FALSE")),
    ],
)
def test_the_spellings_of_a_category_that_is_a_number(value: float, spellings: tuple[str, ...]) -> None:
    assert spellings_of(value) == spellings


def test_numbers_that_mean_a_missing_value() -> None:
    assert Cells().sentinels == frozenset()
    assert Cells(("-999", "NA", "9e3"), ()).sentinels == {-999, 9000}
    assert Cells(("-9,5",), (), ",").sentinels == {-9.5}


def test_unsound_rules() -> None:
    assert Cells().is_sound
    assert Cells(("-999",), ("-999",), ",", ".").is_sound
    for unsound in (Cells((" NA",)), Cells(decimal=";"), Cells(thousands="_"), Cells(decimal=",", thousands=",")):
        assert not unsound.is_sound
    assert Cells(symbols=True, units=("kg", "m²", "sq. ft.", '"', "/10")).is_sound
    for unsound in (
        Cells(units=("",)),
        Cells(units=("-",)),
        Cells(units=(" kg",)),
        Cells(units=("5",)),
        Cells(units=("(",)),
    ):
        assert not unsound.is_sound


def test_marks_are_stripped_and_not_numbers() -> None:
    assert [mark for mark in MARKS if number_of(mark) is not None or mark != cells.strip(mark)] == []
    assert len(set(MARKS)) == len(MARKS)
    assert set("".join(MARKS)) <= set(string.printable)
