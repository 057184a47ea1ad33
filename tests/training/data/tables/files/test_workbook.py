"""Workbooks of Excel and LibreOffice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.training.data.errors import message_of
from tests.training.data.tables.files import workbooks
from training.data.tables import reader

ROWS = [
    ["id", 2019, "price", "ok", "zip"],
    [1, 2.5, "1", True, "02134"],
    [2, None, "n/a", False, "10115"],
    [3, 4.5, 3.5, None, None],
]
COLUMNS = {
    "id": [1, 2, 3],
    "2019": [2.5, None, 4.5],
    "price": ["1", "n/a", "3.5"],
    "ok": [True, False, None],
    "zip": ["02134", "10115", ""],
}


def test_cells_have_their_types_and_mixed_columns_are_strings(tmp_path: Path) -> None:
    found = reader.read(workbooks.write(tmp_path / "t.xlsx", {"Data": ROWS}))
    assert found.table.to_pydict() == COLUMNS
    assert found.typed == {"id", "2019", "ok"}
    assert found.notes == ()


def test_first_sheet_with_rows_is_read_below_its_titles(tmp_path: Path) -> None:
    rows = [["Report of 2024"], [], *ROWS, [], ["Total", 7]]
    found = reader.read(workbooks.write(tmp_path / "t.xlsx", {"Info": [["hello"]], "Data": rows, "More": ROWS}))
    assert found.table.num_rows == 3
    assert found.notes == (
        "sheet 'Data' is read, not 'Info', 'More'",
        "2 rows before the header are skipped",
        "the last row is 'Total', a sum of the others, and is left out",
    )


@pytest.mark.parametrize("rows", [[], [["a", "b"]]])
def test_workbook_without_rows_is_refused(tmp_path: Path, rows: list[list[str]]) -> None:
    path = workbooks.write(tmp_path / "t.xlsx", {"Data": rows})
    assert message_of(reader.read, path) == f"{path} has no sheet with a header and rows; add rows"


def test_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = workbooks.write(tmp_path / "t.xlsx", {"Data": ROWS})
    path.write_bytes(path.read_bytes()[:-80])
    assert message_of(reader.read, path).startswith(f"{path} is damaged, it cannot be decompressed: ")


def test_workbook_that_expands_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = workbooks.write(tmp_path / "t.xlsx", {"Data": [["a", "b"], *([[1, "x" * 100]] * 2000)]})
    assert path.stat().st_size < 20_000
    assert message_of(reader.read, path, max_bytes=100_000) == (
        f"{path} is larger than 100,000 bytes when decompressed; decompress it yourself"
    )


def test_the_sheet_with_the_target_is_read_below_a_merged_header(tmp_path: Path) -> None:
    notes = [["Column", "Meaning"], ["price", "in euros"], ["zip", "of the flat"]]
    rows = [["Person", None, None, None, "Place"], *ROWS, [], ["Source: a survey"]]
    path = workbooks.write(tmp_path / "t.xlsx", {"Info": notes, "Data": rows})
    found = reader.read(path, ("price",))
    assert found.table.column_names == ["id", "2019", "price", "ok", "zip"]
    assert found.table.num_rows == 3
    assert found.notes == (
        "sheet 'Data' is read, not 'Info'",
        "1 row before the header is skipped",
        "what stands below the table is skipped: 'Source: a survey'",
    )
    assert reader.read(path, ("other",)).table.column_names == ["Column", "Meaning"]


FORMATS = {"ods": workbooks.write_ods, "xls": workbooks.write_xls, "xlsb": workbooks.write_xlsb}


@pytest.mark.parametrize("name", ["t.{}", "t.xlsx", "t.csv"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_other_formats_are_recognised_by_their_content(tmp_path: Path, suffix: str, name: str) -> None:
    write: Callable[..., Path] = FORMATS[suffix]
    found = reader.read(write(tmp_path / name.format(suffix), {"Info": [["hello"]], "Data": ROWS}), ("price",))
    assert found.table.to_pydict() == COLUMNS
    assert found.typed == {"id", "2019", "ok"}
    assert found.notes == ("sheet 'Data' is read, not 'Info'",)


@pytest.mark.parametrize("write", [workbooks.write_ods, workbooks.write_xls])
def test_dates_of_other_formats_are_dates(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "t", {"Data": [["when", "x"], [date(2020, 1, 5), 1], [date(2020, 2, 6), 2]]})
    assert reader.read(path).table["when"].to_pylist() == [date(2020, 1, 5), date(2020, 2, 6)]


def test_text_under_the_name_of_a_workbook_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_text("a\tb\n1\tx\n2\ty\n")
    assert reader.read(tmp_path / "t.xls").table.to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}


@pytest.mark.parametrize("start", ["<html><table>", "\ufeff\n<!DOCTYPE html>", '<?xml version="1.0"?><Workbook>'])
def test_page_under_the_name_of_a_workbook_is_refused(tmp_path: Path, start: str) -> None:
    path = tmp_path / "t.xls"
    path.write_text(start, encoding="utf-8")
    assert message_of(reader.read, path) == (
        f"{path} is a web page or XML; open it in a spreadsheet and save it as CSV, or download the table itself"
    )


def test_damaged_old_workbook_is_refused(tmp_path: Path) -> None:
    path = workbooks.write_xls(tmp_path / "t.xls", {"Data": ROWS})
    path.write_bytes(path.read_bytes()[:1000])
    assert message_of(reader.read, path).startswith(f"{path} is damaged or not a workbook: ")
