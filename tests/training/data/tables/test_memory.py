"""The memory of a table while it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

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
