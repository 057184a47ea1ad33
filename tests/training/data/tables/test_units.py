"""The unit that the numbers of a column share, and columns that have none or several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from service.cells import MARKS, Cells
from tests.training.data.tables.tables import TARGET, load_cells, load_parquet, write_csv
from training.data.tables import table_file, units

LABELS = ["yes", "no"] * 20
NUMBERS = range(40, 80)


def number_of(path: Path, cells: list[str]) -> tuple[list[float], tuple[str, ...]]:
    """Return the numbers and the unit of a column that must be numeric."""
    dataset = load_cells(path, cells, ["yes", "no"] * (len(cells) // 2))
    column = dataset.columns[0]
    assert column.type == "numeric"
    assert column.cells is not None
    return dataset.inputs[:2, 0].tolist(), column.cells.units


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["12 kg", "7.5kg"], [12, 7.5], "kg"),
        (["1,200 sqft", "900 sq. ft."], [1200, 900], "sqft"),
        (["4 GB", "8 GB"], [4, 8], "GB"),
        (["1 year", "34 years"], [1, 34], "year"),
        (['15.6"', "14 in"], [15.6, 14], "in"),
        (["-3.5 °C", "21°C"], [-3.5, 21], "°C"),
        (["12,5 km/h", "80 km/h"], [12.5, 80], "km/h"),
        (["8/10", "6.5/10"], [8, 6.5], "/10"),
        (["5%", "7 percent"], [5, 7], "%"),
        (["£1,500 pcm", "£900 pcm"], [1500, 900], "£"),
        (["AED 5", "7 AED"], [5, 7], "AED"),
        (["9,- €", "12,50 €"], [9, 12.5], "€"),
        (["CHF 1'200.\u2013", "CHF 5.50"], [1200, 5.5], "CHF"),
        (["\u20133 °C", "5 °C"], [-3, 5], "°C"),
        (["230 V", "110 V"], [230, 110], "V"),
        (["70 kg", "65"], [70, 65], "kg"),
        (["5%", "0"], [5, 0], "%"),
    ],
)
def test_numbers_in_one_unit_are_numbers(tmp_path: Path, cells: list[str], numbers: list[float], unit: str) -> None:
    found, spellings = number_of(tmp_path, cells * 12)
    assert found == pytest.approx(numbers)
    assert unit in spellings


@pytest.mark.parametrize("text", ["{} reviews", "{} pièces", "{}.5 servings per day"])
def test_unlisted_words_are_units_of_many_numbers(tmp_path: Path, text: str) -> None:
    assert number_of(tmp_path, [text.format(number) for number in NUMBERS])[0][0] == pytest.approx(40, abs=0.5)
    few = load_cells(tmp_path, [text.format(number) for number in (2, 4)] * 20, LABELS)
    assert few.columns[0].type == "categorical"


@pytest.mark.parametrize(
    "text",
    [
        "{}A",
        "{}th",
        "{} th",
        "{} Main Street",
        "B{}",
        "Q{}",
        "{}+",
        "<{}",
        ">{}",
        "{}abc",
        "~{}",
        "{}k",
        "{}M",
        "#{}",
        "{}-",
        "${} or more",
    ],
)
def test_codes_and_bounds_are_no_quantities(tmp_path: Path, text: str) -> None:
    dataset = load_cells(tmp_path, [text.format(number) for number in NUMBERS], LABELS, keep=("x",))
    assert dataset.columns[0].type == "categorical"
    assert len(dataset.columns[0].categories) == len(NUMBERS)


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["500 MB", "2 GB"], "'500 MB' and '2 GB'"),
        (["$5", "€7"], "'$5' and '€7'"),
        (["50%", "0.5"], "'50%' and '0.5'"),
        (["500", "2 GB"], "'2 GB' and '500'"),
        (["12 kg", "12 lb"], "'12 kg' and '12 lb'"),
    ],
)
def test_numbers_in_several_units_are_categories_and_noted(tmp_path: Path, cells: list[str], shown: str) -> None:
    dataset = load_cells(tmp_path, cells * 12)
    assert dataset.columns[0].categories == tuple(sorted(cells))
    assert dataset.notes[0].startswith(
        f"column 'x' has numbers in several units, such as {shown}; it is treated as categories. Write them in one "
        "unit, or use --numeric x to read "
    )
    assert load_cells(tmp_path, cells * 12, numeric=("x",)).columns[0].type == "numeric"


def test_note_is_shown_although_the_column_is_left_out(tmp_path: Path) -> None:
    x = [f"{number}.{number} {unit}" for number in NUMBERS for unit in ("MB", "GB")]
    cells = {"x": [*x, *(f"1{each}" for each in x)], "y": ["1", "2"] * 80, "label": LABELS * 4}
    dataset = table_file.load(write_csv(tmp_path / "t.csv", cells), TARGET)
    assert dataset.source["dropped"] == ["x"]
    assert sum("in several units" in note for note in dataset.notes) == 1


def test_debits_and_credits_are_no_numbers(tmp_path: Path) -> None:
    """Which of them is negative depends on the account."""
    for other in ("{} DR", "{}"):
        cells = [("{} CR" if number % 2 else other).format(number) for number in NUMBERS] * 2
        assert load_cells(tmp_path, cells, LABELS * 2).columns[0].type == "categorical"


def test_few_numbers_in_another_unit_are_missing(tmp_path: Path) -> None:
    cells = [*(f"{number} kg" for number in NUMBERS), "150 lb", "999"]
    dataset = load_cells(tmp_path, cells, [*LABELS, "yes", "no"])
    assert np.isnan(dataset.inputs[:, 0]).tolist() == [False] * 40 + [True] * 2
    assert dataset.columns[0].cells is not None
    assert dataset.columns[0].cells.missing_numbers == (*MARKS, "150 lb", "999")


def test_few_units_among_numbers_are_missing(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, [*(f"{number}" for number in NUMBERS), "50 m", "51.5"], [*LABELS, "yes", "no"])
    assert np.isnan(dataset.inputs[:, 0]).sum() == 1
    assert dataset.columns[0].cells == Cells((*MARKS, "50 m"))


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.2k", "500"], [1200, 500]),
        (["8.7M", "201k"], [8.7e6, 201_000]),
        (["€1,5M", "€500K"], [1.5e6, 500_000]),
        (["3 million", "2 billion"], [3e6, 2e9]),
        (["1.5k $", "900 $"], [1500, 900]),
    ],
)
def test_numbers_with_multiples(tmp_path: Path, cells: list[str], numbers: list[float]) -> None:
    dataset = load_cells(tmp_path, cells * 12)
    assert dataset.inputs[:2, 0].tolist() == numbers
    assert dataset.columns[0].cells is not None
    assert dataset.columns[0].cells.multiples


def test_integers_with_a_letter_are_codes(tmp_path: Path) -> None:
    assert load_cells(tmp_path, ["12K", "7M", "5B"] * 8).columns[0].categories == ("12K", "5B", "7M")


def test_trailing_minus_of_a_few_values_is_a_grade(tmp_path: Path) -> None:
    assert load_cells(tmp_path, ["1", "2", "2-", "3-"] * 6).columns[0].categories == ("1", "2", "2-", "3-")
    dataset = load_cells(tmp_path, [f"{number}{'-' * (number % 2)}" for number in NUMBERS], LABELS)
    assert dataset.inputs[:2, 0].tolist() == [40, -41]


def test_strings_of_parquet_have_units(tmp_path: Path) -> None:
    dataset = load_parquet(tmp_path, pa.array(["12 kg", "7.5 kg"] * 12))
    assert dataset.inputs[:2, 0].tolist() == [12, 7.5]


def test_each_spelling_belongs_to_one_unit() -> None:
    spellings = [spelling for group in set(units._GROUPS.values()) for spelling in group]
    assert len(spellings) == len(set(spellings))
    assert Cells(symbols=True, units=tuple(spellings)).is_sound
