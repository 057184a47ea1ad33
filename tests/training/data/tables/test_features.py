"""Notes on features that may be a mistake, and leaving out those that carry no information."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.tables.tables import TARGET, generate, rejection
from training.data.tables import table_file
from training.data.tables.options import TableOptions


def test_id_has_a_note(path: Path) -> None:
    path.write_text(generate(12))
    assert table_file.load(path, TARGET).notes == (
        "column 'x' has a different integer in each row, as an id has; ids do not generalise to new rows, so if it is "
        "one, leave it out with --drop x",
        "target label: 2 classes (no, yes)",
    )


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("{row}.5", np.float32),
        ("{row}e11", np.float32),
        ("17000000{row:02}", np.float64),
        ("1000000000.{row}", np.float64),
    ],
)
def test_values_that_need_float64_have_a_note(path: Path, column: str, dtype: type) -> None:
    path.write_text(generate(24, column=column + ",0.{row}").replace("x,", "x,y,", 1))
    dataset = table_file.load(path, TARGET)
    assert dataset.inputs.dtype == dtype
    assert dataset.inputs.tolist() == [[dtype(column.format(row=row)), dtype(f"0.{row}")] for row in range(24)]
    note = "float32 cannot distinguish all values of 'x': inputs are float64"
    assert (note in dataset.notes) == (dtype is np.float64)


def test_outlier_has_a_note(path: Path) -> None:
    path.write_text(generate(24, column="17000000{row:02}").replace("1700000007", "0"))
    assert (
        "column 'x' has outliers, from 0 to 1.7e+09, that hide the differences between its other values; if they mean "
        "something else, such as 0 for never, leave them empty"
    ) in table_file.load(path, TARGET).notes


@pytest.mark.parametrize("column", ["90071992547410{row:02}", "900719925474099{row:02}000"])
def test_integers_that_float64_rounds_have_a_note(path: Path, column: str) -> None:
    path.write_text(generate(24, column=column))
    step = f"{np.spacing(float(column.format(row=23))):,.0f}"
    assert (
        f"column 'x' has integers so large that float64 rounds them to multiples of {step}; if that matters, treat "
        "them as categories with --categorical x, or leave them out with --drop x"
    ) in table_file.load(path, TARGET).notes


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("5", "5 in every row"),
        ("2024-01-01", "2024-01-01 in every row"),
        ("cook", "'cook' in every row"),
        ("", "no value in any row"),
    ],
)
def test_useless_feature_is_left_out(path: Path, column: str, reason: str) -> None:
    path.write_text(generate(9, column + ",{row}.5").replace("x,", "x,y,", 1))
    dataset = table_file.load(path, TARGET)
    assert [each.name for each in dataset.columns] == ["y"]
    assert dataset.notes[0] == f"left out, as nothing can be learned from it: 'x' ({reason})"
    assert dataset.source["dropped"] == ["x"]


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("x y", "Mr. {row}", "12 different strings in 12 rows"),
        ("address", "10.0.0.{row}", "12 different strings in 12 rows"),
        ("customer_id", "{row}7", "a different integer in each row"),
        ("PassengerId", "{row}7", "a different integer in each row"),
        ("place", "{row}", "the number of the row"),
    ],
)
def test_ids_and_texts_are_left_out_unless_kept(path: Path, name: str, column: str, reason: str) -> None:
    path.write_text(generate(12, column + ",{row}.5").replace("x,", f"{name},y,", 1))
    dataset = table_file.load(path, TARGET)
    assert [each.name for each in dataset.columns] == ["y"]
    assert dataset.notes[0] == (
        f"left out, as ids do not generalise to new rows: {name!r} ({reason}); use --keep {shlex.quote(name)} if they "
        "mean something"
    )
    kept = table_file.load(path, TableOptions(("label",), keep=(name,)))
    assert [each.name for each in kept.columns] == [name, "y"]


def test_different_integers_that_may_mean_something_are_kept_with_a_note(path: Path) -> None:
    path.write_text(generate(12, "19{row:02},{row}.5").replace("x,", "year,y,", 1))
    dataset = table_file.load(path, TARGET)
    assert [each.name for each in dataset.columns] == ["year", "y"]
    assert dataset.notes[0].startswith("column 'year' has a different integer in each row, as an id has;")
    assert dataset.notes[0].endswith("leave it out with --drop year")


def test_strings_that_repeat_are_kept_however_many_are_missing(path: Path) -> None:
    path.write_text(generate(1000, ",{row}.5").replace("x,", "pool,y,", 1).replace("\n,", "\ngood,", 5))
    assert [each.name for each in table_file.load(path, TARGET).columns] == ["pool", "y"]


@pytest.mark.parametrize("name", ["t", "Time", "day_of_year", "age"])
def test_a_number_that_counts_time_or_age_is_kept(path: Path, name: str) -> None:
    path.write_text(generate(12, "{row},{row}.5").replace("x,", f"{name},y,", 1))
    assert [each.name for each in table_file.load(path, TARGET).columns] == [name, "y"]


def test_table_without_other_columns_keeps_its_ids(path: Path) -> None:
    path.write_text(generate(12))
    assert [column.name for column in table_file.load(path, TARGET).columns] == ["x"]


def test_table_of_useless_columns_is_rejected(path: Path) -> None:
    assert rejection(path, generate(9, "5")) == (
        "FILE has no columns left to predict label from; add some (left out, as nothing can be learned from it: 'x' "
        "(5 in every row))"
    )
