"""Notes about strings that may be misread."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.cells import Cells
from tests.training.data.tables.tables import load_cells, load_parquet, write_csv
from training.data.dataset import Column
from training.data.tables import table_file
from training.data.tables.options import TableOptions


def test_codes_with_leading_zeros_are_categories(tmp_path: Path) -> None:
    for codes in (["01067", "10115", "20095"] * 8, ["030", "0211", "089"] * 8):
        dataset = load_cells(tmp_path, codes)
        assert dataset.columns[0].categories == tuple(sorted(set(codes)))
        assert dataset.notes[0] == (
            f"column 'x' has digits with leading zeros, such as {codes[0]}, as codes have; it is treated as "
            "categories, use --numeric x to read them as numbers"
        )
        assert load_cells(tmp_path, codes, numeric=("x",)).inputs[:3, 0].tolist() == [float(code) for code in codes[:3]]


def test_numbers_with_some_leading_zeros_have_a_note(tmp_path: Path) -> None:
    dataset = load_cells(tmp_path, ["01", "115", "2"] * 8)
    assert dataset.columns == (Column("x"),)
    assert dataset.notes[0] == (
        "column 'x' has numbers with a leading zero, such as 01, as codes have; they are read as numbers unless you "
        "use --categorical x"
    )


def test_ambiguous_point_is_a_decimal_mark_unless_an_option_says_otherwise(tmp_path: Path) -> None:
    cells = ["19.118", "999", "120", "1.200"] * 6
    dataset = load_cells(tmp_path, cells)
    assert dataset.inputs[0, 0] == np.float32(19.118)
    assert dataset.notes[0] == (
        "column 'x' has three digits after each point, such as 19.118, read as fractions; use --thousands . to read it "
        "as 19118"
    )
    loaded = load_cells(tmp_path, cells, thousands=".")
    assert loaded.inputs[:4, 0].tolist() == [19118, 999, 120, 1200]
    assert loaded.cells == Cells(decimal=",", thousands=".")
    assert load_cells(tmp_path, cells, decimal=".").notes == ("target label: 2 classes (no, yes)",)


@pytest.mark.parametrize("cells", [["19.118", "1999"], ["19.118", "999.5"], ["0.126", "1"], ["1.25", "1"]])
def test_unambiguous_point_is_accepted(tmp_path: Path, cells: list[str]) -> None:
    assert load_cells(tmp_path, cells * 12).notes == ("target label: 2 classes (no, yes)",)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_namibia_is_not_a_missing_value(tmp_path: Path, quoting: Any) -> None:
    path = write_csv(tmp_path / "t.csv", {"x": ["NA", "DE", "FR", ""] * 6, "label": ["NA", "ZA"] * 12}, quoting)
    dataset = table_file.load(path, TableOptions(("label",)))
    assert dataset.columns == (Column("x", "categorical", missing=True, categories=("DE", "FR", "NA")),)
    assert dataset.labels == ("NA", "ZA")
    assert dataset.notes == (
        "x: 6 missing (empty 6)",
        "read as ordinary strings: x has 'NA' 6; label has 'NA' 12; if they mean a missing value, use --missing NA, "
        "which applies to all columns",
        "target label: 2 classes (NA, ZA)",
    )


def test_parquet_strings_that_look_like_numbers_have_a_note(tmp_path: Path) -> None:
    found = load_parquet(tmp_path, pa.array(["01", "02", "NA"] * 8))
    assert found.columns[0].categories == ("01", "02", "NA")
    assert found.notes[1] == (
        "column 'x' has strings that look like numbers; they are treated as categories, use --numeric x to read them "
        "as numbers"
    )
    assert load_parquet(tmp_path, pa.array(["01", "02", "NA"] * 8), numeric=("x",)).columns == (
        Column("x", missing=True),
    )
