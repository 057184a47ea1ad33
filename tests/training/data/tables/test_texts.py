"""Training and the server read a cell alike: what stands for it in training is what the server makes of it.

Columns of messy cells are read as training reads a file; each of their cells is then sent to the column that the server
makes of the model's manifest, as JSON text and, where it is a number in JSON, as that.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from service.cells import BLANKS, MARKS, Cells
from service.errors import InvalidInput
from service.inference import columns as served
from service.manifest import Feature
from training.data.dataset import Column, Dataset
from training.data.tables import columns, reader, table_file, texts
from training.data.tables.table_file import Choices
from training.errors import DataError, OptionError

NUMBERS = ("0", "1", "-7", "+3", "12.5", "250.10", "250.1", ".5", "5.", "1e3", "007", "01067", "-999", "-999.0", "1e39")
WORDS = ("true", "True", "FALSE", "false", "yes", "no", "cook", "Namibia", "ｎａ", "München", "None of these")  # noqa: RUF001
CODES = ("10115", "1067", "10115.0", "12345678901234567890", "12345678901234567891", "V12.5", "2024-01-05", "12:30")
EUROPEAN = ("19.118", "999", "1.234,56", "12,5", "1'200", "1 200", "1\u202f200", "$5", "96%", "0,126")
ODD = ("", "nan", "NAN", "inf", "-Infinity", "0x10", "1_000", "１２", "a\nb", 'say "hi"', "a,b;c", "1" * 401, "\0")  # noqa: RUF001

blanks = st.sampled_from(["", "", "", " ", "\t", "\n", "\xa0", "\u3000", " \r\n"])
cells_of_one_kind = st.sampled_from(
    [NUMBERS, WORDS, CODES, ("true", "FALSE", "1", "0", "True"), EUROPEAN, NUMBERS + WORDS + CODES + EUROPEAN + ODD]
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
    """Cells mostly of one kind, with some that mean a missing value and some that are anything."""
    kind = draw(cells_of_one_kind)
    cell = st.sampled_from(kind) | st.sampled_from(kind) | st.sampled_from(("", *MARKS)) | st.text(max_size=3)
    return [
        draw(blanks) + text + draw(blanks)
        for text in draw(st.lists(cell if draw(st.booleans()) else st.sampled_from((*kind, "", "NA")), min_size=1))
    ]


def read(cells: list[str], rule: Cells, *, categorical: bool) -> tuple[Column, list[float]]:
    """What training makes of them, whatever the user would be told."""
    array = pa.chunked_array([pa.array(cells, pa.string())])
    if categorical:
        found = texts.as_they_stand(array, rule)
    else:
        found = texts.by_their_looks("x", array, rule, "--categorical x", decimal_known=True)
    column, values = columns.column_of("x", found.array, categorical=categorical)
    assert sum(found.missing.values()) == np.isnan(values).sum()
    return column, values.tolist()


def served_by(column: Column, rule: Cells) -> served.Column:
    return served.of(
        Feature(column.name, column.kind, column.missing, column.categories, column.other, 0.0, 0.0, 0.0, 0.0), rule
    )


def sent(column: served.Column, value: object) -> float | None:
    """What the server makes of a JSON value; None where it refuses it."""
    try:
        return float(column.number(0, value))
    except InvalidInput:
        return None


def same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def as_json_number(cell: str) -> Any:
    """The cell as a number or a boolean of JSON, where JSON writes it the same way; None where it does not."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    plain = isinstance(value, int | float) and abs(value) < 1e300 and json.dumps(value) == cell
    return value if plain else None


@given(messy_columns(), rules, st.booleans())
@settings(max_examples=200)
def test_each_cell_is_to_the_server_what_it_was_in_training(cells: list[str], rule: Cells, categorical: bool) -> None:
    column, values = read(cells, rule, categorical=categorical)
    server = served_by(column, rule)
    for cell, value in zip(cells, values, strict=True):
        expected = None if abs(value) > served.FLOAT32_MAX else value  # training refuses such a column
        assert same(sent(server, cell), expected), cell
        number = as_json_number(cell)
        if number is not None and (rule.decimal == "." or isinstance(number, int) or column.categories):
            assert same(sent(server, number), expected), number


@given(messy_columns(), rules, st.booleans(), st.sampled_from((*NUMBERS, *WORDS, *CODES, *ODD, *MARKS)))
@settings(max_examples=200)
def test_a_cell_that_training_never_saw_is_what_it_would_have_been(
    cells: list[str], rule: Cells, categorical: bool, cell: str
) -> None:
    column, _ = read(cells, rule, categorical=categorical)
    other, values = read([*cells, cell], rule, categorical=categorical)
    known = column.categories == other.categories and column.kind == other.kind and column.missing == other.missing
    expected = values[-1] if known and not abs(values[-1]) > served.FLOAT32_MAX else None
    assert same(sent(served_by(column, rule), cell), expected)


@given(st.lists(st.sampled_from((*NUMBERS, *CODES, *EUROPEAN, *ODD, *MARKS)), min_size=1), rules)
def test_numbers_are_those_of_the_shared_rules(cells: list[str], rule: Cells) -> None:
    """Arrow's reading of a column against Python's of each cell."""
    found = texts.by_their_looks(
        "x", pa.chunked_array([pa.array(cells)]), rule, "--categorical x", decimal_known=True
    ).array
    stripped = [cell.strip(BLANKS) for cell in cells]
    numbers = [math.nan if cell in {"", *rule.missing_numbers} else rule.number(cell) for cell in stripped]
    numbers = [math.nan if number in rule.sentinels else number for number in numbers]
    if columns.is_text(found):
        assert None in numbers
    elif not pa.types.is_boolean(found.type):
        np.testing.assert_array_equal(columns.numbers_of(found), np.array(numbers, np.float64))


# Through files


def table(path: Path, cells: dict[str, list[str]], quoting: Any = csv.QUOTE_MINIMAL, delimiter: str = ",") -> Path:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=quoting, delimiter=delimiter)
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    return path


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(ODD)] * 2), min_size=1),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(",;\t|"),
)
def test_a_file_has_the_cells_that_were_written_whatever_they_are(
    tmp_path: Path, rows: list[tuple[str, str]], quoting: Any, delimiter: str
) -> None:
    if any("\0" in cell for row in rows for cell in row):
        return  # the oracle cannot write it
    path = table(tmp_path / "t.csv", {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}, quoting, delimiter)
    found, _ = reader.read(path)
    assert [tuple(row.values()) for row in found.to_pylist()] == rows


LABELS = ["yes", "no"] * 12


def load(path: Path, cells: list[str], target: list[str] | None = None, **choices: Any) -> Dataset:
    return table_file.load(
        table(path / "t.csv", {"x": cells, "label": target or LABELS}), Choices(("label",), **choices)
    )


def refusal(path: Path, cells: list[str], **choices: Any) -> str:
    with pytest.raises((DataError, OptionError)) as caught:
        load(path, cells, **choices)
    return str(caught.value)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_namibia_is_no_missing_value(tmp_path: Path, quoting: Any) -> None:
    path = table(tmp_path / "t.csv", {"x": ["NA", "DE", "FR", ""] * 6, "label": ["NA", "ZA"] * 12}, quoting)
    dataset = table_file.load(path, Choices(("label",)))
    assert dataset.columns == (Column("x", "categorical", missing=True, categories=("DE", "FR", "NA")),)
    assert dataset.labels == ("NA", "ZA")
    assert dataset.notes == (
        "x: 6 missing ('' 6)",
        "taken as texts like any others: x has 'NA' 6; label has 'NA' 12; where they mean a missing value, say "
        "--missing NA, which holds for all columns",
        "target label: 2 classes (NA, ZA)",
    )


def test_codes_are_categories_as_they_stand(tmp_path: Path) -> None:
    codes = ["01067", "1067", "250.10", "250.1", "12345678901234567890", "12345678901234567891"]
    dataset = load(tmp_path, codes * 4, categorical=("x",))
    assert dataset.columns == (Column("x", "categorical", categories=tuple(sorted(codes))),)


def test_numbers_that_begin_with_a_zero_are_warned_of(tmp_path: Path) -> None:
    dataset = load(tmp_path, ["01067", "10115", "20095"] * 8)
    assert dataset.columns == (Column("x"),)
    assert dataset.notes[0] == (
        "column 'x' has numbers that begin with a zero, such as 01067, as codes do; they are taken for numbers, unless "
        "you say --categorical x"
    )


def test_what_is_taken_for_missing_among_numbers_is_counted(tmp_path: Path) -> None:
    dataset = load(tmp_path, ["1", "2", " ", "NA", "?", "NA", "3", "4.5"] * 3)
    assert dataset.columns == (Column("x", missing=True),)
    assert dataset.notes[0] == "x: 12 missing ('NA' 6, '' 3, '?' 3)"
    assert dataset.cells == Cells()


def test_what_counts_as_missing_can_be_set(tmp_path: Path) -> None:
    cells = ["1", "2", "-999", "-999.0", "unknown", "NA"] * 4
    assert "take it for missing with --missing NA unknown" in refusal(tmp_path, cells)
    dataset = load(tmp_path, cells, missing=("NA", " unknown ", "-999", "NA"))
    assert dataset.notes[0] == "x: 16 missing ('-999' 4, '-999.0' 4, 'unknown' 4, 'NA' 4)"
    assert dataset.cells == Cells(("NA", "unknown", "-999"), ("NA", "unknown", "-999"))
    assert load(tmp_path, ["a", "b", "NA"] * 8, missing=("NA",)).columns[0].categories == ("a", "b")
    assert "the text 'NA' in row 3" in refusal(tmp_path, ["1", "2", "NA"] * 8, missing=())


def test_a_point_that_may_part_thousands_is_refused_until_it_is_said(tmp_path: Path) -> None:
    cells = ["19.118", "999", "120", "1.200"] * 6
    assert refusal(tmp_path, cells) == (
        "column 'x' has 19.118 beside 999, and nothing tells whether its point parts thousands or begins a fraction; "
        "say --thousands . where the point parts thousands, so that it is 19118, or --decimal . where it begins a "
        "fraction"
    )
    parted = load(tmp_path, cells, thousands=".")
    assert parted.inputs[:4, 0].tolist() == [19118, 999, 120, 1200]
    assert parted.cells == Cells(decimal=",", thousands=".")
    assert load(tmp_path, cells, decimal=".").inputs[0, 0] == np.float32(19.118)


@pytest.mark.parametrize("cells", [["19.118", "1999"], ["19.118", "999.5"], ["0.126", "1"], ["1.25", "1"]])
def test_a_point_that_begins_a_fraction_beyond_doubt_is_no_fault(tmp_path: Path, cells: list[str]) -> None:
    assert load(tmp_path, (cells * 12)).notes == ("target label: 2 classes (yes, no)".replace("yes, no", "no, yes"),)


def test_three_digits_after_each_point_are_warned_of(tmp_path: Path) -> None:
    assert load(tmp_path, ["19.118", "20.500", "7.250"] * 8).notes[0] == (
        "column 'x' has a point and three digits in each value, such as 19.118, which is taken for a fraction; say "
        "--thousands . where the point parts thousands, so that it is 19118"
    )


@pytest.mark.parametrize(
    ("cell", "way"),
    [
        ("1,200", "leave it empty, say --decimal , to read it as 1.2, say --thousands , to read it as 1200, or take"),
        ("0,126", "leave it empty, say --decimal , to read it as 0.126, or take"),
        ("1.234,56", "leave it empty, say --decimal , --thousands . to read it as 1234.56, or take"),
        ("1'200", """leave it empty, say --thousands "'" to read it as 1200, or take"""),
        ("$72,147", "leave it empty, or take"),
        ("96%", "leave it empty, or take"),
    ],
)
def test_a_number_as_people_write_it_is_refused_with_the_option_that_reads_it(
    tmp_path: Path, cell: str, way: str
) -> None:
    assert way in refusal(tmp_path, [cell] * 24)


def test_european_numbers_in_a_file_of_semicolons(tmp_path: Path) -> None:
    cells = {"price": ["19.118,50", "999", "1.250,5"] * 8, "share": ["0,5", "1", ""] * 8, "label": LABELS}
    path = table(tmp_path / "t.csv", cells, delimiter=";")
    dataset = table_file.load(path, Choices(("label",), thousands="."))
    assert dataset.inputs[:3].tolist() == [[19118.5, 0.5], [999, 1], [1250.5, pytest.approx(math.nan, nan_ok=True)]]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"decimal": ";"}, "--decimal is ';', expected one of . ,"),
        ({"thousands": "_"}, """--thousands is '_', expected one of . , ''"'"'' ' '"""),
        ({"decimal": ",", "thousands": ","}, "--decimal and --thousands are both ',', expected marks that differ"),
    ],
)
def test_marks_that_no_number_has_are_refused(tmp_path: Path, choices: dict[str, str], message: str) -> None:
    assert refusal(tmp_path, ["1", "2"] * 12, **choices) == message


def test_the_faults_of_all_columns_are_told_at_once(tmp_path: Path) -> None:
    cells = {
        "price": ["1,200", "1,300"] * 12,
        "rate": ["1", "2", "3", "n/k"] * 6,
        "when": ["2024-01-05", "2024-02-05"] * 12,
        "at": ["12:30", "09:15:00"] * 12,
        "same": ["cook"] * 24,
        "good": ["1", "2"] * 12,
        "label": ["0,5", "1,5"] * 12,
    }
    path = table(tmp_path / "t.csv", cells)
    with pytest.raises(DataError) as caught:
        table_file.load(path, Choices(("label",)))
    head, *faults = str(caught.value).split("\n- ")
    assert head == f"{path} cannot be learned from as it is, for 5 reasons:"
    assert [fault.split(" ha")[0].split(" ho")[0] for fault in faults] == [
        "column 'price'",
        "column 'rate'",
        "column 'label'",
        "'when' and 'at'",
        "nothing can be learned from 'same' ('cook' in every row); leave out with --drop when at same",
    ]


@pytest.mark.parametrize(
    ("target", "task", "labels"),
    [
        (["01", "02", "03"], "auto", ("01", "02", "03")),
        (["01", "02", "03"], "classification", ("01", "02", "03")),
        (["1", "2", "10"], "auto", (1, 2, 10)),
        (["250.1", "250.10"], "classification", ("250.1", "250.10")),
        (["1", "2", "NA"], "auto", (1, 2)),
        (["1", "2", "NA"], "classification", ("1", "2", "NA")),
        ([" a ", "b", ""], "auto", ("a", "b")),
        (["12345678901234567890", "12345678901234567891"], "classification", None),
    ],
)
def test_labels_are_the_texts_as_they_stand(
    tmp_path: Path, target: list[str], task: str, labels: tuple[str | int, ...] | None
) -> None:
    whole = (target * 24)[:24]
    dataset = load(tmp_path, ["1", "2"] * 12, whole, task=task)
    assert dataset.labels == (tuple(sorted(target)) if labels is None else labels)


def test_rows_without_a_target_say_what_was_taken_for_missing(tmp_path: Path) -> None:
    dataset = load(tmp_path, ["1", "2"] * 12, ["1", "2", "NA", ""] * 6)
    assert dataset.notes[0] == "12 of 24 rows have no label ('NA' 6, '' 6) and are left out"


def test_numbers_for_a_target_that_begin_with_a_zero_are_numbers_where_that_is_asked_for(tmp_path: Path) -> None:
    assert load(tmp_path, ["1", "2"] * 12, ["01", "02"] * 12, task="regression").targets[:2].tolist() == [[1], [2]]


# Files that have types


def of_parquet(path: Path, values: pa.Array, **choices: Any) -> Dataset:
    parquet.write_table(pa.table({"x": values, "label": LABELS}), path / "t.parquet")
    return table_file.load(path / "t.parquet", Choices(("label",), **choices))


def test_a_text_of_a_parquet_file_is_no_missing_value(tmp_path: Path) -> None:
    texts_of = pa.array(["NA", "DE", None] * 8)
    for array in (texts_of, texts_of.dictionary_encode(), texts_of.cast(pa.large_string())):
        found = of_parquet(tmp_path, array)
        assert found.columns == (Column("x", "categorical", missing=True, categories=("DE", "NA")),)
    assert of_parquet(tmp_path, texts_of, missing=("NA",)).columns[0].missing


def test_texts_of_a_parquet_file_that_look_like_numbers_are_told(tmp_path: Path) -> None:
    found = of_parquet(tmp_path, pa.array(["01", "02", "NA"] * 8))
    assert found.columns[0].categories == ("01", "02", "NA")
    assert found.notes[1] == "column 'x' has texts in the file that look like numbers; they are taken for categories"


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
def test_numbers_taken_for_categories_are_found_by_the_number(
    tmp_path: Path, values: pa.Array, sent_as: list[Any] | None, categories: tuple[str, ...] | None
) -> None:
    dataset = of_parquet(tmp_path, values, categorical=("x",))
    (column,) = dataset.columns
    if categories is not None:
        assert column.categories == categories
    server = served_by(column, Cells())
    for value, expected in zip(sent_as or values.to_pylist(), dataset.inputs[:, 0].tolist(), strict=False):
        assert same(sent(server, value), expected)


def test_a_number_that_stands_for_a_missing_value_does_so_in_a_parquet_file(tmp_path: Path) -> None:
    numbers = [-999, 1, -998] * 8
    for kind in (pa.int64(), pa.int16(), pa.float64(), pa.float32(), pa.decimal128(21, 2)):
        dataset = of_parquet(tmp_path, pa.array(numbers).cast(kind), missing=("-999", "-998.5"))
        assert dataset.columns == (Column("x", missing=True),)
        assert np.isnan(dataset.inputs[:, 0]).sum() == 8
