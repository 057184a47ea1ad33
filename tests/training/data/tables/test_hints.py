"""Errors and notes about strings that may be misread."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.cells import Cells
from tests.training.data.errors import message_of
from tests.training.data.tables.tables import BODY, HEADER, generate, load_cells, load_parquet, rejection, write_csv
from training.data.dataset import Column
from training.data.tables import table_file
from training.data.tables.options import TableOptions


@pytest.mark.parametrize("string", ["1,200", "1'200'000", "$12", "€ 3.5", "12 %", "3,14", "-1 000", "1.234,56"])
def test_formatted_number_is_not_a_category(path: Path, string: str) -> None:
    assert rejection(path, generate(9, f'"{string}"')).startswith(
        f"column 'x' has {string!r} in row 1 below the header"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER + BODY + "unknown,true,cook,yes\n",
            "column 'age' has 'unknown' in row 7 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing unknown, or "
            "treat the column as categories with --categorical age",
        ),
        (
            HEADER + "1,true,cook,\n" + BODY + "unknown,true,cook,yes\n",
            "column 'age' has 'unknown' in row 8 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing unknown, or "
            "treat the column as categories with --categorical age",
        ),
        (
            generate(9, '"$1,{row}00"'),
            "column 'x' has '$1,000' in row 1 below the header, but most of its values look like numbers; write it as "
            "a plain number such as 1200 or 3.14, leave it empty, or treat the column as categories with --categorical "
            "x",
        ),
        (
            generate(9, label="{row}.5") + "3,n/k\n",
            "column 'label' has 'n/k' in row 10 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing n/k, or treat "
            "the column as categories with --task classification",
        ),
    ],
)
def test_malformed_number_is_rejected(path: Path, content: str, message: str) -> None:
    assert rejection(path, content) == message


def test_leading_zeros_have_a_note(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["01067", "10115", "20095"] * 8)
    assert dataset.columns == (Column("x"),)
    assert dataset.notes[0] == (
        "column 'x' has numbers with a leading zero, such as 01067, as codes have; they are read as numbers unless you "
        "use --categorical x"
    )


def test_ambiguous_point_is_rejected_unless_an_option_resolves_it(tmp_path: Path) -> None:
    cells = ["19.118", "999", "120", "1.200"] * 6
    assert message_of(load_cells, tmp_path, cells) == (
        "column 'x' has 19.118 beside 999: the point may be a decimal mark or a thousands separator; use --thousands . "
        "to read it as 19118, or --decimal . to read it as a fraction"
    )
    loaded = load_cells(tmp_path, cells, thousands=".")
    assert loaded.inputs[:4, 0].tolist() == [19118, 999, 120, 1200]
    assert loaded.cells == Cells(decimal=",", thousands=".")
    assert load_cells(tmp_path, cells, decimal=".").inputs[0, 0] == np.float32(19.118)


@pytest.mark.parametrize("cells", [["19.118", "1999"], ["19.118", "999.5"], ["0.126", "1"], ["1.25", "1"]])
def test_unambiguous_point_is_accepted(tmp_path: Path, cells: list[str]) -> None:
    assert load_cells(tmp_path, cells * 12).notes == ("target label: 2 classes (no, yes)",)


def test_three_digits_after_each_point_have_a_note(tmp_path: Path) -> None:
    assert load_cells(tmp_path, ["19.118", "20.500", "7.250"] * 8).notes[0] == (
        "column 'x' has three digits after the point in each value, such as 19.118, read as fractions; use --thousands "
        ". to read it as 19118"
    )


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("1,200", "leave it empty, use --decimal , to read it as 1.2, use --thousands , to read it as 1200, or treat"),
        ("0,126", "leave it empty, use --decimal , to read it as 0.126, or treat"),
        ("1.234,56", "leave it empty, use --decimal , --thousands . to read it as 1234.56, or treat"),
        ("1'200", """leave it empty, use --thousands "'" to read it as 1200, or treat"""),
        ("$72,147", "leave it empty, or treat"),
        ("96%", "leave it empty, or treat"),
    ],
)
def test_formatted_number_is_rejected_with_the_option_that_reads_it(tmp_path: Path, cell: str, remedy: str) -> None:
    assert remedy in message_of(load_cells, tmp_path, [cell] * 24)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_namibia_is_not_a_missing_value(tmp_path: Path, quoting: Any) -> None:
    path = write_csv(tmp_path / "t.csv", {"x": ["NA", "DE", "FR", ""] * 6, "label": ["NA", "ZA"] * 12}, quoting)
    dataset = table_file.load(path, TableOptions(("label",)))
    assert dataset.columns == (Column("x", "categorical", missing=True, categories=("DE", "FR", "NA")),)
    assert dataset.labels == ("NA", "ZA")
    assert dataset.notes == (
        "x: 6 missing ('' 6)",
        "read as ordinary strings: x has 'NA' 6; label has 'NA' 12; if they mean a missing value, use --missing NA, "
        "which applies to all columns",
        "target label: 2 classes (NA, ZA)",
    )


def test_parquet_strings_that_look_like_numbers_have_a_note(tmp_path: Path) -> None:
    found = load_parquet(tmp_path, pa.array(["01", "02", "NA"] * 8))
    assert found.columns[0].categories == ("01", "02", "NA")
    assert found.notes[1] == "column 'x' has strings that look like numbers; they are treated as categories"
