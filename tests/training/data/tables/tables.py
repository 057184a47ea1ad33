"""Tables for the tests: CSV content, and the message of one that is rejected."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.training.data.errors import message_of
from training.data.dataset import Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions

ODD = ("", "nan", "NAN", "inf", "-Infinity", "0x10", "1_000", "１２", "a\nb", 'say "hi"', "a,b;c", "1" * 401, "\0")  # noqa: RUF001 - wide digits
TARGET = TableOptions(("label",))
LABELS = ["yes", "no"] * 12
HEADER = "age,member,job,label\n"
ROWS = [
    "41,true,cook,yes",
    ",false,nurse,no",
    "2.5e1,True,,yes",
    "33,FALSE,nurse,no",
    "41,true,cook,yes",
    "7,,nurse,no",
]
BODY = "\n".join(ROWS) + "\n"


def generate(rows: int, column: str = "{row}", label: str = "{label}") -> str:
    """Return a CSV table of two columns, formatted with the row's number."""
    lines = (f"{column},{label}".format(row=row, label="yes" if row % 2 else "no") for row in range(rows))
    return "x,label\n" + "".join(f"{line}\n" for line in lines)


def write_csv(
    path: Path, cells: Mapping[str, Sequence[str]], quoting: Any = csv.QUOTE_MINIMAL, delimiter: str = ","
) -> Path:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=quoting, delimiter=delimiter)
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    path.write_text(file.getvalue(), encoding="utf-8", newline="")
    return path


def load_cells(path: Path, cells: list[str], target: list[str] | None = None, **options: Any) -> Dataset:
    """Load a CSV file in the folder ``path`` with a column ``x`` of ``cells`` and a target ``label``."""
    write_csv(path / "t.csv", {"x": cells, "label": target or LABELS})
    return table_file.load(path / "t.csv", TableOptions(("label",), **options))


def load_parquet(path: Path, values: pa.Array, **options: Any) -> Dataset:
    """Load a Parquet file in the folder ``path`` with a column ``x`` of ``values`` and a target ``label``."""
    parquet.write_table(pa.table({"x": values, "label": LABELS}), path / "t.parquet")
    return table_file.load(path / "t.parquet", TableOptions(("label",), **options))


def rejection(path: Path, content: str | bytes, options: TableOptions = TARGET) -> str:
    """Return the message, with FILE for the path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return message_of(table_file.load, path, options).replace(str(path), "FILE")
