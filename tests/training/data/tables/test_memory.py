"""The memory of a table while it is loaded."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tests.training.data.tables.test_extracts import EXTRACTS, lines
from training.data import source
from training.data.tables import reader
from training.data.tables.files import mapped
from training.errors import DataError

ROWS, NUMBERS = 400_000, 24
# The peak of Python and its imports is that of the same run on a table of few rows.
PROGRAM = """
import resource, sys
from training.data import source
source.load(sys.argv[1], {"targets": ("y",)})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_bytes(path: Path) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


def write(path: Path, table: pa.Table) -> None:
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table, path, row_group_size=100_000)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_loading_a_file_takes_little_more_than_twice_its_numbers(suffix: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns = {f"n{index}": random.normal(0, 1, ROWS).astype(np.float32) for index in range(NUMBERS)}
    columns["y"] = pa.array(["no", "yes"]).take(pa.array(random.integers(0, 2, ROWS)))
    table = pa.table(columns)
    write(tmp_path / f"large{suffix}", table)
    write(tmp_path / f"small{suffix}", table.slice(0, 100))
    assert suffix != ".csv" or (tmp_path / "large.csv").stat().st_size > mapped.MIN_BYTES
    taken = peak_bytes(tmp_path / f"large{suffix}") - peak_bytes(tmp_path / f"small{suffix}")
    assert taken < 3 * ROWS * NUMBERS * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_mapped_file_is_read_as_one_in_memory(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    lines = [f'{number},"grün, {number % 3}",{number % 2}' for number in range(3000)]
    path.write_text("\n".join(["# of the tests", "size,colour,y", *lines]), encoding=encoding)
    options = {"targets": ("y",)}
    expected = source.load(str(path), options)
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    found = source.load(str(path), options)
    assert np.array_equal(found.inputs, expected.inputs)
    assert (found.columns, found.notes, found.source) == (expected.columns, expected.notes, expected.source)


CASES = EXTRACTS | {
    "rows without the target, and others of given parts": (
        lines("size,colour,part,y", "{d}.{i:02},{c},train,{i}.5").replace("7.5", "") + "1.5,a,test,2.5\n2.5,d,test,\n",
        {},
    )
}


@pytest.mark.parametrize("extract", CASES)
def test_an_extract_in_files_is_read_as_in_memory(
    extract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(CASES[extract][0])
    target = next(name for name in ("mpg", "churn", "y") if name in CASES[extract][0])
    options = {"targets": (target,)} | ({"split": "part"} if "part" in CASES[extract][0] else {})
    expected = source.load(str(path), options)
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    found = source.load(str(path), options)
    for field in dataclasses.fields(expected):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert repr(one) == repr(other)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_comments_are_found_wherever_a_mapped_file_is_divided(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,y\n1,2\n# a comment\n3,4\n")
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    monkeypatch.setattr(mapped, "_PIECE_BYTES", size)
    found = reader.read(path)
    assert found.table.to_pydict() == {"a": ["1", "3"], "y": ["2", "4"]}
    assert found.notes == ("1 line that begins with '#' is skipped",)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,y\n", b"a,y\n1\n", b'a,y\n"1,2\n', b"a,y\n\xff\xfe\xfd\n"])
def test_a_mapped_file_has_the_same_errors(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as expected:
        reader.read(path)
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    with pytest.raises(DataError) as found:
        reader.read(path)
    assert str(found.value) == str(expected.value)
