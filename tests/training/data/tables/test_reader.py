"""Reading CSV and Parquet files unchanged, and rejecting broken ones."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.training.data.errors import message_of
from tests.training.data.tables.tables import BODY, HEADER, ODD, write_csv
from training.data.tables import reader


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(ODD)] * 2), min_size=1),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(",;\t|"),
)
def test_cells_of_a_file_are_read_unchanged(
    tmp_path: Path, rows: list[tuple[str, str]], quoting: Any, delimiter: str
) -> None:
    if any("\0" in cell for row in rows for cell in row):
        return  # csv cannot write it
    path = write_csv(
        tmp_path / "t.csv", {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}, quoting, delimiter
    )
    assert [tuple(row.values()) for row in reader.read(path).table.to_pylist()] == rows


def test_delimiter_in_a_quoted_name_is_ignored(path: Path) -> None:
    path.write_text('"size, in m²";label\n' + "".join(f"{row / 2};{row % 2}\n" for row in range(9)))
    assert reader.read(path).table.column_names == ["size, in m²", "label"]


def test_index_of_pandas_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    frame = pd.DataFrame({"age": [41.0, 7.0] * 6, "label": ["yes", "no"] * 6}).iloc[::-1]
    frame.to_parquet(path)
    assert reader.read(path).table.column_names == ["age", "label"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE is empty, expected a table with a header"),
        (" \n\n", "FILE is empty, expected a table with a header"),
        (HEADER, "FILE has a header but no rows; add rows"),
        (
            HEADER + '1,true,"a\nb",no\n\n' + BODY + "41,true\n",
            "FILE, line 11: 2 values, expected 4 as in the header (separated by ','); correct the line, or quote "
            "values that contain ','",
        ),
        (
            HEADER + "41,true,cook,yes,\n" + BODY,
            "FILE, line 2: 5 values, expected 4 as in the header (separated by ','); correct the line, or quote "
            "values that contain ','",
        ),
        (
            HEADER + '41,true,"cook,yes\n' + BODY,
            "FILE, line 2: a double quote begins a value and none ends it; add one, or write one inside a quoted value "
            'as ""',
        ),
        (
            "a,b,a,label\n" + BODY,
            "FILE has 2 columns named 'a'; rename them, clients send values by name",
        ),
        (
            "a,b\x07,c,label\n" + BODY,
            "FILE: the name of column 2, 'b\\x07', has an unprintable character; rename the column",
        ),
        (
            "a,b\x07,\x00,a\n" + BODY,
            "FILE has 3 errors:\n"
            "- FILE: the name of column 2, 'b\\x07', has an unprintable character; rename the column\n"
            "- FILE: the name of column 3, '\\x00', has an unprintable character; rename the column\n"
            "- FILE has 2 columns named 'a'; rename them, clients send values by name",
        ),
    ],
)
def test_broken_csv_file_is_rejected(path: Path, content: str | bytes, message: str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message_of(reader.read, path).replace(str(path), "FILE") == message


def test_damaged_parquet_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    whole = tmp_path / "whole.parquet"
    parquet.write_table(pa.table({"x": [1, 2], "label": ["yes", "no"]}), whole)
    for content in (b"x,label\n1,yes\n", whole.read_bytes()[:-20], whole.read_bytes()[:100]):
        path.write_bytes(content)
        assert message_of(reader.read, path).startswith(f"{path} is damaged or not a Parquet file: ")


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    assert message_of(reader.read, path) == f"{path} cannot be read: No such file or directory"


@pytest.mark.parametrize("row", ["hh:mm,°C,(%),-", ",[°C],%,", "UTC,°C,,"])
def test_row_of_units_below_the_header_is_left_out(tmp_path: Path, row: str) -> None:
    (tmp_path / "t.csv").write_text(f"time,temp,hum,label\n{row}\n10:00,7.5,3,yes\n11:00,8.5,4,no\n", encoding="utf-8")
    found = reader.read(tmp_path / "t.csv")
    assert found.table["temp"].to_pylist() == ["7.5", "8.5"]
    shown = ", ".join(filter(None, row.split(",")))
    assert found.notes == (f"the row below the header has units and is left out: {shown}",)


@pytest.mark.parametrize("rows", ["kg,5\nlb,6\nkg,7", "m,yes\n38,no\n40,no", "C,°C\n7,x\n8,y", "°C,7\n9,8\n9,8"])
def test_units_among_the_values_are_values(tmp_path: Path, rows: str) -> None:
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n", encoding="utf-8")
    assert reader.read(tmp_path / "t.csv").table.num_rows == 3
