"""Notes on features that may be a mistake, and rejecting those that carry no information."""

from __future__ import annotations

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
    ("content", "message"),
    [
        (
            generate(9, "10.0.0.{row}"),
            "nothing can be learned from 'x' (9 different strings in 9 rows); use --drop x",
        ),
        (generate(9, "5"), "nothing can be learned from 'x' (5 in every row); use --drop x"),
        (generate(9, "cook"), "nothing can be learned from 'x' ('cook' in every row); use --drop x"),
        (generate(9, ""), "nothing can be learned from 'x' (no value in any row); use --drop x"),
        (
            generate(9, "Mr. {row}"),
            "nothing can be learned from 'x' (9 different strings in 9 rows); use --drop x",
        ),
    ],
)
def test_useless_feature_is_rejected(path: Path, content: str, message: str) -> None:
    assert rejection(path, content) == message


def test_remedies_are_valid_options(path: Path) -> None:
    table = "id,first name,when,label\n" + "".join(
        f"{row % 2},Mr. {row},2024-01-01,{'yes' if row % 3 else 'no'}\n" for row in range(1, 10)
    )
    error = rejection(path, table, TableOptions(("label",), drop=("id",)))
    assert error.endswith("'when' (2024-01-01 in every row); use --drop id 'first name' when")
    assert rejection(path, table, TableOptions(("label",), drop=("id", "when"))).endswith("--drop id when 'first name'")
