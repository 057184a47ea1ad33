"""Files of other programs are refused with the way out."""

from __future__ import annotations

import gzip
import pickle
import sqlite3
from pathlib import Path

import pytest

from tests.training.data.errors import message_of
from training.data.tables import reader

REST = bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("t.sav", b"$FL2@(#) SPSS DATA FILE" + REST, "a file of SPSS; export it"),
        ("t.dta", b"<stata_dta><header><release>118" + REST, "a file of Stata; export it"),
        ("t.dta", b"\x72\x02\x01\0" + REST, "a file of Stata; export it"),
        ("t.sas7bdat", bytes(12) + bytes.fromhex("c2ea8160b31411cf") + REST, "a file of SAS; export it"),
        ("t.rds", gzip.compress(b"X\n\0\0\0\3" + REST), "a file of R; export it"),
        ("t.RData", gzip.compress(b"RDX3\nX\n\0\0\0\3" + REST), "a file of R; export it"),
        ("t.h5", b"\x89HDF\r\n\x1a\n" + REST, "a file of HDF5; export it"),
        ("t.pkl", pickle.dumps({"a": [1, 2]}), "a Python pickle; save its table"),
        ("t.avro", b"Obj\x01" + REST, "a file of Avro; export it"),
        ("t.arff", b"% Iris\n@RELATION iris\n@ATTRIBUTE x NUMERIC\n@DATA\n1\n", "a file of Weka; remove the lines"),
        ("t.pdf", b"%PDF-1.4\n" + REST, "a PDF; look for the data"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS; fetch"),
        ("t.csv", b"\n<!DOCTYPE html>\n<html>Log in</html>\n", "a web page or XML; open it in a spreadsheet"),
    ],
)
def test_files_of_other_programs_are_named(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message_of(reader.read, tmp_path / name).startswith(f"{tmp_path / name} is {kind}")


def test_a_database_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as database:
        database.execute("create table t (a, b)")
    assert message_of(reader.read, tmp_path / "t.db").endswith("is an SQLite database; export one table as CSV")


def test_a_column_may_be_called_as_a_file_of_r_begins(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("X\n2\n3\n")
    assert reader.read(tmp_path / "t.csv").table.to_pydict() == {"X": ["2", "3"]}


@pytest.mark.parametrize("header", ["version,x", "<age>,x", "%PDF,x", "X,x", "t,x", "Obj,x"])
def test_names_of_columns_are_names(tmp_path: Path, header: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n1,2\n3,4\n")
    assert reader.read(tmp_path / "t.csv").table.num_rows == 2
