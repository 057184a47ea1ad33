"""When a table is streamed, and the memory that a process may take."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.training.data.tables.streams import tables
from training.data import source
from training.data.tables.options import TableOptions
from training.data.tables.streams import memory, streaming
from training.data.tables.streams.streaming import Streaming
from training.errors import OptionError


def test_a_table_is_streamed_if_it_would_not_fit() -> None:
    assert Streaming(memory_mb=100).reason(1000, 10) is None
    assert (
        Streaming(memory_mb=100).reason(10_000_000, 10)
        == "in memory it would take about 1.2 GB, and --memory-mb allows 100 MB"
    )
    assert Streaming("never", 100).reason(10_000_000, 10) is None
    assert Streaming("always").reason(1, 1) == "--stream always says so"


def test_little_memory_keeps_fewer_rows() -> None:
    small, large = Streaming(memory_mb=100).room(1000), Streaming(memory_mb=100_000).room(10)
    assert (large.kept_rows, large.buffer_rows) == (500_000, 500_000)
    assert small.kept_rows == small.buffer_rows == 10_000


def test_the_smallest_limit_counts(tmp_path: Path) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    assert memory.budget_bytes(proc, cgroups) is None
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:   8000 kB\n")
    assert memory.budget_bytes(proc, cgroups) == int(0.7 * 8000 * 1024)
    (proc / "self" / "cgroup").write_text("0::/outer/inner\n")
    for name, limit in (("outer/inner", "max\n"), ("outer", "4096000\n")):
        (cgroups / name).mkdir(parents=True, exist_ok=True)
        (cgroups / name / "memory.max").write_text(limit)
    assert memory.budget_bytes(proc, cgroups) == int(0.7 * 4096000)
    (proc / "self" / "cgroup").write_text("3:cpu:/\n2:memory,hugetlb:/job\n")
    (cgroups / "memory" / "job").mkdir(parents=True)
    (cgroups / "memory" / "job" / "memory.limit_in_bytes").write_text("1000\n")
    assert memory.budget_bytes(proc, cgroups) == 700


def test_all_options_that_need_the_whole_table_are_named() -> None:
    options = TableOptions(("y",), time="t", weight="w", test=Path("test.parquet"))
    with pytest.raises(OptionError, match=r"^--time, --weight, --test cannot be used with a table that is streamed"):
        streaming.check(options, "why")


def test_a_file_of_another_format_is_not_streamed(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x,y\n1,a\n2,b\n")
    with pytest.raises(OptionError, match=r"table\.csv is no Parquet file"):
        source.load(str(tmp_path / "table.csv"), {"targets": ("y",), "stream": "always"})


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(OptionError, match="--memory-mb is 5, expected an integer of at least 100"):
        Streaming(memory_mb=5)


def test_a_folder_that_fits_is_loaded_as_one_file(tmp_path: Path) -> None:
    table = pa.table({"x": [1.5, 2, 3, 4] * 9, "y": ["a", "b", "b", "a"] * 9})
    dataset = source.load(str(tables.write(table, tmp_path / "many")), {"targets": ("y",)})
    assert (dataset.name, dataset.inputs[:, 0].tolist(), dataset.collect) == ("many", table["x"].to_pylist(), None)
