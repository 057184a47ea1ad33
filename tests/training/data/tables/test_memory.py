"""The memory of a table while it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

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


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_loading_a_parquet_file_takes_little_more_than_twice_its_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns = {f"n{index}": random.normal(0, 1, ROWS).astype(np.float32) for index in range(NUMBERS)}
    columns["y"] = pa.array(["no", "yes"]).take(pa.array(random.integers(0, 2, ROWS)))
    table = pa.table(columns)
    parquet.write_table(table, tmp_path / "large.parquet", row_group_size=100_000)
    parquet.write_table(table.slice(0, 100), tmp_path / "small.parquet")
    taken = peak_bytes(tmp_path / "large.parquet") - peak_bytes(tmp_path / "small.parquet")
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
