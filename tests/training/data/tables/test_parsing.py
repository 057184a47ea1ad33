"""Training and the server read a cell alike.

Columns of messy cells are parsed as in training; each cell is then sent to the server's column, as a JSON string and,
if it is a JSON number, as a number.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from service.cells import BLANKS, MARKS, Cells
from service.errors import InvalidInput
from service.inference import columns as served
from service.manifest import Feature
from tests.training.data.tables.tables import LABELS, ODD, load_cells, load_parquet, write_csv
from training.data.dataset import Column
from training.data.tables import columns, hints, parsing, table_file
from training.data.tables.numbers import Rules
from training.data.tables.options import TableOptions

NUMBERS = ("0", "1", "-7", "+3", "12.5", "250.10", "250.1", ".5", "5.", "1e3", "007", "01067", "-999", "-999.0", "1e39")
WORDS = ("true", "True", "FALSE", "false", "yes", "no", "cook", "Namibia", "ｎａ", "München", "None of these")  # noqa: RUF001 - wide letters
CODES = ("10115", "1067", "10115.0", "12345678901234567890", "12345678901234567891", "V12.5", "2024-01-05", "12:30")
EUROPEAN = ("19.118", "999", "1.234,56", "12,5", "1'200", "1 200", "1\u202f200", "$5", "96%", "0,126")
MEASURES = ("12 kg", "7.5kg", "80", "1,200 kgs", "12 lb", "34 years", "1 year", "2 GB", "500 MB", "12A", "2 doors")
AMOUNTS = (
    "40-",
    "1.234,56-",
    "$ 40-",
    "40 €-",
    "(5)",
    "1.2k",
    "3M",
    "500",
    "€500K",
    "2 million",
    "5%",
    "0.5",
    "40 CR",
    "9,- €",
    "\u20137",
)

blanks = st.sampled_from(["", "", "", " ", "\t", "\n", "\xa0", "\u3000", " \r\n"])
cells_of_one_type = st.sampled_from(
    [
        *(NUMBERS, WORDS, CODES, ("true", "FALSE", "1", "0", "True"), EUROPEAN, MEASURES, MEASURES[:4], AMOUNTS),
        NUMBERS + WORDS + CODES + EUROPEAN + MEASURES + AMOUNTS + ODD,
    ]
)
rules = st.sampled_from(
    [
        Cells(),
        Cells((), ()),
        Cells(("NA", "-999"), ("NA", "-999")),
        Cells(decimal=",", thousands="."),
        Cells(decimal=","),
        Cells(thousands=" "),
    ]
)


@st.composite
def messy_columns(draw: st.DrawFn) -> list[str]:
    """Cells mostly of one type, with some missing values and some arbitrary strings."""
    common = draw(cells_of_one_type)
    cell = st.sampled_from(common) | st.sampled_from(common) | st.sampled_from(("", *MARKS)) | st.text(max_size=3)
    return [
        draw(blanks) + string + draw(blanks)
        for string in draw(st.lists(cell if draw(st.booleans()) else st.sampled_from((*common, "", "NA")), min_size=1))
    ]


def parse(cells: list[str], rule: Cells, *, categorical: bool) -> tuple[Column, list[float]]:
    """Return the column and values in training, ignoring errors."""
    array = pa.chunked_array([pa.array(cells, pa.string())])
    if categorical:
        found = parsing.as_strings(array, rule)
    else:
        found = parsing.infer("x", array, Rules(rule), "--categorical x")
    column, values = columns.to_feature("x", found.array, categorical=categorical)
    assert sum(found.missing.values()) == np.isnan(values).sum()
    return replace(column, cells=found.cells), values.tolist()


def served_by(column: Column, rule: Cells) -> served.Column:
    return served.of(
        Feature(column.name, column.type, column.missing, column.categories, column.other, *[0.0] * 4, column.cells),
        rule,
    )


def sent(column: served.Column, value: object) -> float | None:
    """Return the server's number for a JSON value; None if it rejects it."""
    try:
        return float(column.number(0, value))
    except InvalidInput:
        return None


def same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def as_json_number(cell: str) -> Any:
    """Return the cell as a JSON number or boolean if JSON writes it the same way, else None."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    plain = isinstance(value, int | float) and abs(value) < 1e300 and json.dumps(value) == cell
    return value if plain else None


@given(messy_columns(), rules, st.booleans())
@example(["0", "-7", "false"], Cells(), False)
@settings(max_examples=200)
def test_server_reads_each_cell_as_training_does(cells: list[str], rule: Cells, categorical: bool) -> None:
    column, values = parse(cells, rule, categorical=categorical)
    server = served_by(column, rule)
    for cell, value in zip(cells, values, strict=True):
        expected = None if abs(value) > served.FLOAT32_MAX else value  # training rejects such a column
        assert same(sent(server, cell), expected), cell
        number = as_json_number(cell)
        decimal = (column.cells or rule).decimal
        if isinstance(number, bool) and math.isnan(value):
            expected = None  # as a word it stands for a missing number; JSON's false does not
        if number is not None and (decimal == "." or isinstance(number, int) or column.categories):
            assert same(sent(server, number), expected), number


@given(
    messy_columns(),
    rules,
    st.booleans(),
    st.sampled_from((*NUMBERS, *WORDS, *CODES, *MEASURES, *AMOUNTS, *ODD, *MARKS)),
)
@settings(max_examples=200)
def test_server_reads_a_new_cell_as_training_would(cells: list[str], rule: Cells, categorical: bool, cell: str) -> None:
    column, before = parse(cells, rule, categorical=categorical)
    assume(not np.isnan(before).all())  # a column without a value is no feature
    other, values = parse([*cells, cell], rule, categorical=categorical)
    known = replace(column, name="") == replace(other, name="")
    read = sent(served_by(column, rule), cell)
    # One more row may change what the column is: numbers become categories, as they are few for so many rows, or a
    # word no longer stands for a missing number. Such a row tells nothing of the column without it.
    assume(known or read is None or (column.categories and read not in before))
    expected = values[-1] if known and not abs(values[-1]) > served.FLOAT32_MAX else None
    assert same(read, expected)


@given(st.lists(st.sampled_from((*NUMBERS, *CODES, *EUROPEAN, *MEASURES, *AMOUNTS, *ODD, *MARKS)), min_size=1), rules)
def test_numbers_follow_the_shared_rules(cells: list[str], rule: Cells) -> None:
    """Arrow parsing a column, compared with Python parsing each cell."""
    parsed = parsing.infer("x", pa.chunked_array([pa.array(cells)]), Rules(rule), "--categorical x")
    found, rule = parsed.array, parsed.cells or rule
    stripped = [cell.strip(BLANKS) for cell in cells]
    numbers = [math.nan if cell in {"", *rule.missing_numbers} else rule.number(cell) for cell in stripped]
    numbers = [math.nan if number in rule.sentinels else number for number in numbers]
    if columns.is_string(found):
        known = [cell for cell in stripped if cell not in {"", *rule.missing_numbers}]
        assert None in numbers or hints.are_codes(pa.chunked_array([known]))
    elif not pa.types.is_boolean(found.type):
        np.testing.assert_array_equal(columns.to_numbers(found), np.array(numbers, np.float64))


# From CSV files


def test_codes_are_unchanged_categories(tmp_path: Path) -> None:
    codes = ["01067", "1067", "250.10", "250.1", "12345678901234567890", "12345678901234567891"]
    dataset = load_cells(tmp_path, codes * 4, categorical=("x",))
    assert dataset.columns == (Column("x", "categorical", categories=tuple(sorted(codes))),)


def test_missing_values_are_counted(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["1", "2", " ", "NA", "?", "NA", "3", "4.5"] * 3)
    assert dataset.columns == (Column("x", missing=True),)
    assert dataset.notes[0] == "x: 12 missing ('NA' 6, empty 3, '?' 3)"
    assert dataset.cells == Cells()


def test_marks_are_missing_among_strings_too(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["red", "none", "NA", "?", "-", "red"] * 4)
    assert dataset.columns[0].categories == ("-", "none", "red")
    assert dataset.columns[0].cells == Cells(missing_texts=("?", "NA"))
    assert dataset.notes[0] == "x: 8 missing ('NA' 4, '?' 4)"
    assert load_cells(tmp_path, ["7", "3+", "NA"] * 8).columns[0].categories == ("3+", "7")
    assert load_cells(tmp_path, ["7", "8", "NA"] * 8, categorical=("x",)).columns[0].categories == ("7", "8")
    kept = load_cells(tmp_path, ["red", "NA", "blue"] * 8, missing=("?",))
    assert kept.columns == (Column("x", "categorical", categories=("NA", "blue", "red")),)


def test_missing_values_can_be_set(tmp_path: Path) -> None:
    cells = ["1", "2", "-999", "-999.0", "unknown", "NA"] * 4
    dataset = load_cells(tmp_path, cells, missing=("NA", " unknown ", "-999", "NA"))
    assert dataset.notes[0] == "x: 16 missing ('-999' 4, '-999.0' 4, 'unknown' 4, 'NA' 4)"
    assert dataset.cells == Cells(("NA", "unknown", "-999"), ("NA", "unknown", "-999"))
    assert load_cells(tmp_path, ["a", "b", "NA"] * 8, missing=("NA",)).columns[0].categories == ("a", "b")
    strings = load_cells(tmp_path, ["1", "2", "NA"] * 8, missing=())
    assert strings.columns[0].categories == ("1", "2", "NA")
    assert strings.notes[0] == (
        "column 'x' has 'NA' 8 among numbers, 3 different values in all; it is treated as categories, use --numeric x "
        "to read the numbers and take the others as missing"
    )


def test_european_numbers_separated_by_semicolons(tmp_path: Path) -> None:
    cells = {"price": ["19.118,50", "999", "1.250,5"] * 8, "share": ["0,5", "1", ""] * 8, "label": LABELS}
    path = write_csv(tmp_path / "t.csv", cells, delimiter=";")
    dataset = table_file.load(path, TableOptions(("label",), thousands="."))
    assert dataset.inputs[:3].tolist() == [[19118.5, 0.5], [999, 1], [1250.5, pytest.approx(math.nan, nan_ok=True)]]


@pytest.mark.parametrize(
    ("target", "task", "labels"),
    [
        (["01", "02", "03"], "auto", ("01", "02", "03")),
        (["01", "02", "03"], "classification", ("01", "02", "03")),
        (["1", "2", "10"], "auto", (1, 2, 10)),
        (["250.1", "250.10"], "classification", ("250.1", "250.10")),
        (["1", "2", "NA"], "auto", (1, 2)),
        (["1", "2", "NA"], "classification", (1, 2)),
        (["a", "b", "NA"], "auto", ("a", "b")),
        ([" a ", "b", ""], "auto", ("a", "b")),
        (["12345678901234567890", "12345678901234567891"], "classification", None),
    ],
)
def test_labels_are_unchanged_strings(
    tmp_path: Path, target: list[str], task: str, labels: tuple[str | int, ...] | None
) -> None:
    dataset = load_cells(tmp_path, ["1", "2"] * 12, (target * 24)[:24], task=task)
    assert dataset.labels == (tuple(sorted(target)) if labels is None else labels)


def test_note_on_rows_without_a_target_counts_their_strings(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["1", "2"] * 12, ["1", "2", "NA", ""] * 6)
    assert dataset.notes[0] == "12 of 24 rows have no label ('NA' 6, empty 6) and are left out"


def test_regression_reads_leading_zeros_as_numbers(tmp_path: Path) -> None:
    assert load_cells(tmp_path, ["1", "2"] * 12, ["01", "02"] * 12, task="regression").targets[:2].tolist() == [
        [1],
        [2],
    ]


# From Parquet files


def test_parquet_string_is_not_a_missing_value(tmp_path: Path) -> None:
    strings = pa.array(["NA", "DE", None] * 8)
    for array in (strings, strings.dictionary_encode(), strings.cast(pa.large_string())):
        found = load_parquet(tmp_path, array)
        assert found.columns == (Column("x", "categorical", missing=True, categories=("DE", "NA")),)
    assert load_parquet(tmp_path, strings, missing=("NA",)).columns[0].missing


@pytest.mark.parametrize(
    ("values", "sent_as", "categories"),
    [
        (pa.array([1067, 10115, None] * 8, pa.int32()), [1067, 10115, None], ("10115", "1067")),
        (pa.array([12345678901234567890, 12345678901234567891] * 12, pa.uint64()), None, None),
        (pa.array([1067.0, 10115.0, None] * 8), [1067.0, 10115, None], ("10115", "1067")),
        (pa.array([250.1, 1.0, 1e-7] * 8), [250.1, 1, 1e-7], ("1", "1e-07", "250.1")),
        (pa.array([0.1, 2.5] * 12, pa.float32()), [0.1, 2.5], ("0.1", "2.5")),
        (pa.array([True, False, None] * 8), [True, False, None], ("false", "true")),
        (pa.array(["250.10", "3.00"] * 12).cast(pa.decimal128(9, 2)), [250.1, 3], ("250.1", "3")),
    ],
)
def test_numeric_categories_are_found_by_number(
    tmp_path: Path, values: pa.Array, sent_as: list[Any] | None, categories: tuple[str, ...] | None
) -> None:
    dataset = load_parquet(tmp_path, values, categorical=("x",))
    (column,) = dataset.columns
    if categories is not None:
        assert column.categories == categories
    server = served_by(column, Cells())
    for value, expected in zip(sent_as or values.to_pylist(), dataset.inputs[:, 0].tolist(), strict=False):
        assert same(sent(server, value), expected)


def test_parquet_sentinel_is_a_missing_value(tmp_path: Path) -> None:
    numbers = [-999, 1, -998] * 8
    for dtype in (pa.int64(), pa.int16(), pa.float64(), pa.float32(), pa.decimal128(21, 2)):
        dataset = load_parquet(tmp_path, pa.array(numbers).cast(dtype), missing=("-999", "-998.5"))
        assert dataset.columns == (Column("x", missing=True),)
        assert np.isnan(dataset.inputs[:, 0]).sum() == 8
