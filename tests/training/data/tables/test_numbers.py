"""How the numbers of a column are written, and what else may stand among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from service.cells import MARKS, Cells
from tests.training.data.errors import message_of
from tests.training.data.tables.tables import LABELS, load_cells, load_parquet, write_csv
from training.data.dataset import Column
from training.data.tables import table_file
from training.data.tables.options import TableOptions


@pytest.mark.parametrize(
    ("cells", "numbers", "rules", "shown"),
    [
        (
            ["$72,147", "$5"],
            [72147, 5],
            Cells(thousands=",", symbols=True, units=("$", "US$", "USD")),
            "'$72,147', read as 72147",
        ),
        (["96%", "4.5 %"], [96, 4.5], Cells(symbols=True, units=("%", "percent")), "'4.5 %', read as 4.5"),
        (["(1,200)", "7.5"], [-1200, 7.5], Cells(thousands=",", symbols=True), "'(1,200)', read as -1200"),
        (["€ 3.5", "-€2"], [3.5, -2], Cells(symbols=True, units=("€", "EUR")), "'€ 3.5', read as 3.5"),
        (
            ["£1,234.50", "£2"],
            [1234.5, 2],
            Cells(thousands=",", symbols=True, units=("£", "GBP")),
            "'£1,234.50', read as 1234.5",
        ),
        (["1,234,567", "2"], [1234567, 2], Cells(thousands=","), "'1,234,567', read as 1234567"),
        (["0,126", "3,5"], [0.126, 3.5], Cells(decimal=","), "'0,126', read as 0.126"),
        (["1.234,56", "3"], [1234.56, 3], Cells(decimal=",", thousands="."), "'1.234,56', read as 1234.56"),
        (["1.234.567", "3"], [1234567, 3], Cells(decimal=",", thousands="."), "'1.234.567', read as 1234567"),
        (["1'200.5", "3"], [1200.5, 3], Cells(thousands="'"), '"1\'200.5", read as 1200.5'),
        (["1 200,5", "3"], [1200.5, 3], Cells(decimal=",", thousands=" "), "'1 200,5', read as 1200.5"),
        (["1\u202f200,5", "3"], [1200.5, 3], Cells(decimal=",", thousands=" "), "'1\\u202f200,5', read as 1200.5"),
        (
            ["1.200,50\xa0€", "3"],
            [1200.5, 3],
            Cells(MARKS, (), ",", ".", True, ("€", "EUR")),
            "'1.200,50\\xa0€', read as 1200.5",
        ),
        (["1\u2019200.5", "3"], [1200.5, 3], Cells(thousands="'"), "'1\u2019200.5', read as 1200.5"),
        (
            ["₹1,23,456", "₹7"],
            [123456, 7],
            Cells(thousands=",", symbols=True, units=("₹", "INR", "Rs", "Rs.")),
            "'₹1,23,456', read as 123456",
        ),
        (
            ["R$ 1.200,50", "R$ 7"],
            [1200.5, 7],
            Cells(MARKS, (), ",", ".", True, ("R$", "BRL")),
            "'R$ 1.200,50', read as 1200.5",
        ),
        (
            ["1 200 kr", "7 kr"],
            [1200, 7],
            Cells(thousands=" ", symbols=True, units=("kr", "kr.")),
            "'1 200 kr', read as 1200",
        ),
        (["\u22125", "3"], [-5, 3], Cells(symbols=True), "'\u22125', read as -5"),
        (["1.234,56-", "3"], [-1234.56, 3], Cells((*MARKS,), (), ",", ".", True), "'1.234,56-', read as -1234.56"),
    ],
)
def test_style_is_recognised(tmp_path: Path, cells: list[str], numbers: list[float], rules: Cells, shown: str) -> None:
    dataset = load_cells(tmp_path, cells * 12)
    assert dataset.columns == (Column("x", cells=rules),)
    assert dataset.inputs[:2, 0].tolist() == pytest.approx(numbers)
    assert dataset.notes[0] == f"column 'x' has numbers such as {shown}"
    assert dataset.cells == Cells()


def test_comma_before_three_digits_separates_thousands_unless_an_option_says_otherwise(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["1,234", "999"] * 12)
    assert dataset.inputs[:2, 0].tolist() == [1234, 999]
    assert dataset.notes[0] == (
        "column 'x' has numbers such as '1,234', read as 1234; use --decimal , to read it as 1.234"
    )
    dataset = load_cells(tmp_path, ["1,234", "999"] * 12, decimal=",")
    assert dataset.inputs[0, 0] == pytest.approx(1.234)
    assert dataset.notes == ("target label: 2 classes (no, yes)",)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_other_columns_and_semicolons_decide_what_is_ambiguous(tmp_path: Path, delimiter: str) -> None:
    cells = {"x": ["1,234", "2,345"] * 12, "y": ["19.118", "1.234"] * 12, "z": ["1", "2"] * 12, "label": LABELS}
    path = write_csv(tmp_path / "t.csv", cells, delimiter=delimiter)
    inputs = table_file.load(path, TableOptions(("label",))).inputs[0].tolist()
    assert inputs == pytest.approx([1234 if delimiter == "," else 1.234, 19.118, 1])
    cells["z"] = ["0,5", "1,25"] * 12
    path = write_csv(tmp_path / "t.csv", cells, delimiter=delimiter)
    dataset = table_file.load(path, TableOptions(("label",)))
    assert dataset.inputs[0].tolist() == pytest.approx([1.234, 19118, 0.5])
    assert (
        "column 'y' has numbers such as 19.118, read as 19118, because other columns have a decimal comma; use "
        "--decimal . to read it as a fraction"
    ) in dataset.notes


@pytest.mark.parametrize(
    "word", ["unknown", "missing", "n.a.", "nil", "NIL", "N/A", "?", "-", "--", "None", "*", "..."]
)
def test_marks_of_missing_values_need_no_option(tmp_path: Path, word: str) -> None:
    assert word in MARKS
    dataset = load_cells(tmp_path, ["1.5", "2.5", word, "3.5"] * 6)
    assert dataset.columns == (Column("x", missing=True),)
    assert dataset.notes[0] == f"x: 6 missing ({word!r} 6)"


def test_few_words_among_many_numbers_are_missing(tmp_path: Path) -> None:
    numbers = [f"{number}.5" for number in range(70)]
    cells = [*numbers, "refused", "n/k", "refused"]
    labels = [*(["yes", "no"] * 36), "yes"]
    dataset = load_cells(tmp_path, cells, labels)
    own = Cells((*MARKS, "n/k", "refused"))
    assert dataset.columns == (Column("x", missing=True, cells=own),)
    assert dataset.notes[1] == (
        "column 'x' has 'refused' 2, 'n/k' 1 among its numbers, read as missing; use --categorical x to keep them"
    )
    assert len(load_cells(tmp_path, cells, labels, categorical=("x",), keep=("x",)).columns[0].categories) == 72


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["1", "2", "3+", "4"] * 6, "'3+' 6 among numbers, 4 different values in all"),
        (["K", "1", "2", "3"] * 6, "'K' 6 among numbers, 4 different values in all"),
        (["<5", "6", "7", "8", "10+", "9"] * 4, "'<5' 4, '10+' 4 among numbers, 6 different values in all"),
    ],
)
def test_few_values_with_words_are_categories(tmp_path: Path, cells: list[str], shown: str) -> None:
    dataset = load_cells(tmp_path, cells)
    assert dataset.columns[0].categories == tuple(sorted(set(cells)))
    assert dataset.notes[0] == (
        f"column 'x' has {shown}; it is treated as categories, use --numeric x to read the numbers and take the others "
        "as missing"
    )
    assert load_cells(tmp_path, cells, numeric=("x",)).columns[0].type == "numeric"


def test_codes_with_letters_are_categories(tmp_path: Path) -> None:
    cells = [str(number) for number in range(100, 140)] * 2 + ["A1", "B2"] * 5
    dataset = load_cells(tmp_path, cells, ["yes", "no"] * 45)
    assert dataset.columns[0].type == "categorical"
    assert len(dataset.columns[0].categories) == 42


@pytest.mark.parametrize("odd", [["36A", "36A"], ["c168", "c204"]])
def test_integers_beside_few_numbers_with_a_letter_are_codes(tmp_path: Path, odd: list[str]) -> None:
    cells = [str(number) for number in range(100, 149)] * 2 + odd
    dataset = load_cells(tmp_path, cells, ["yes", "no"] * 50)
    assert len(dataset.columns[0].categories) == 49 + len(set(odd))


@pytest.mark.parametrize("odd", [["1O5", "1O6"], ["12k", "30m"], ["36A", "7"]])
def test_typos_and_units_are_no_codes(tmp_path: Path, odd: list[str]) -> None:
    cells = [str(number) for number in range(100, 149)] * 2 + odd
    assert load_cells(tmp_path, cells, ["yes", "no"] * 50).columns[0].type == "numeric"


def test_numbers_with_leading_zeros_beside_letters_are_codes(tmp_path: Path) -> None:
    cells = [f"{number:03}" for number in range(1, 41)] * 2 + ["36A", "36A"]
    dataset = load_cells(tmp_path, cells, ["yes", "no"] * 41)
    assert dataset.columns[0].categories[:2] == ("001", "002")


def test_numbers_of_two_styles_are_refused(tmp_path: Path) -> None:
    assert message_of(load_cells, tmp_path, ["1,234.5", "0,5"] * 12) == (
        "column 'x' has '0,5' in row 2 below the header beside '1,234.5', and no decimal mark and thousands separator "
        "read both; write all numbers alike, or treat the column as categories with --categorical x"
    )


def test_few_numbers_of_another_style_are_missing(tmp_path: Path) -> None:
    cells = [f"{number}.{number % 7}" for number in range(60, 99)] + ["5,3"]
    labels = ["yes", "no"] * 20
    dataset = load_cells(tmp_path, cells, labels)
    assert dataset.inputs[-2, 0] == np.float32(98.0)
    assert np.isnan(dataset.inputs[-1, 0])
    assert dataset.notes[1] == (
        "column 'x' has '5,3' 1 among its numbers, read as missing; use --categorical x to keep them"
    )
    odd = [f"{number},5{number % 7}" for number in range(30)]
    many = [f"{number}.25" for number in range(600)]
    dataset = load_cells(tmp_path, many + odd, ["yes", "no"] * 315, numeric=("x",))
    assert np.isnan(dataset.inputs[:, 0]).tolist() == [False] * 600 + [True] * 30


def test_target_is_read_in_its_own_style(tmp_path: Path) -> None:
    dataset = load_cells(
        tmp_path, [f"{number}.5" for number in range(24)], [f"${number},200" for number in range(1, 25)]
    )
    assert dataset.targets[:2, 0].tolist() == [1200, 2200]
    assert dataset.target_cells == {"label": Cells(thousands=",", symbols=True, units=("$", "US$", "USD"))}


def test_parquet_strings_with_signs_are_numbers(tmp_path: Path) -> None:
    dataset = load_parquet(tmp_path, pa.array(["$1,200", "$7"] * 12))
    assert dataset.inputs[:2, 0].tolist() == [1200, 7]
