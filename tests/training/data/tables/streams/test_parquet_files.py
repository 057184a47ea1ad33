"""Parquet files as one table: their order, Hive partitions, and what is wrong with files that differ."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from tests.training.data.tables.streams import tables
from training.data.tables.streams.parquet_files import ParquetFiles, holds_parquet
from training.errors import DataError


def read(files: ParquetFiles) -> pa.Table:
    return pa.concat_tables(block for piece in files.pieces for block in files.blocks(piece, files.names, 37))


def test_rows_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    table = pa.table({"x": range(1000), "s": pa.array([str(n) for n in range(1000)])})
    files = ParquetFiles(tables.write(table, tmp_path / "table"))
    assert read(files).equals(table)
    assert (files.rows, files.pieces[-1].first_row + files.pieces[-1].rows) == (1000, 1000)


def test_hive_partitions_are_columns(tmp_path: Path) -> None:
    table = pa.table({"x": range(6), "year": [2020, 2020, 2021, 2021, 2021, 2022], "town": ["a b", "c", None] * 2})
    dataset.write_dataset(
        table, tmp_path / "t", format="parquet", partitioning=["year", "town"], partitioning_flavor="hive"
    )
    (tmp_path / "t" / "_temporary").mkdir()
    (tmp_path / "t" / "_temporary" / "left.parquet").touch()
    (tmp_path / "t" / "notes.txt").touch()
    found = read(ParquetFiles(tmp_path / "t"))
    assert found.column_names == ["x", "year", "town"]
    assert found.sort_by("x").to_pylist() == table.to_pylist()


def test_the_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": [1, 2], "__index_level_0__": [0, 1]}), tmp_path / "t.parquet")
    assert ParquetFiles(tmp_path / "t.parquet").names == ("x",)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    folders = [tables.write(pa.table({"x": [1, 2, 3, 4]}), tmp_path / name, files=2) for name in "abc"]
    (folders[1] / "part-1.parquet").rename(folders[1] / "part-9.parquet")
    parquet.write_table(pa.table({"x": [3, 5]}), folders[2] / "part-1.parquet")
    assert len({ParquetFiles(folder).digest() for folder in folders}) == 3
    assert ParquetFiles(folders[0]).digest() == ParquetFiles(folders[0]).digest()


def test_files_that_differ_are_named_all_at_once(tmp_path: Path) -> None:
    folder = tables.write(pa.table({"x": [1, 2], "y": [1, 2]}), tmp_path / "t", files=1)
    parquet.write_table(pa.table({"x": [1.5], "y": [1]}), folder / "q.parquet")
    parquet.write_table(pa.table({"x": [1]}), folder / "r.parquet")
    with pytest.raises(DataError) as raised:
        ParquetFiles(folder)
    assert f"{folder}/q.parquet has double for column 'x', and part-0.parquet has int64" in str(raised.value)
    assert f"{folder}/r.parquet has no such column for column 'y'" in str(raised.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = tables.write(pa.table({"x": range(5000)}), tmp_path / "t", files=1, row_group=5000)
    path = folder / "part-0.parquet"
    files = ParquetFiles(folder)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(DataError, match=r"part-0\.parquet is damaged, or has changed"):
        read(files)
    path.write_bytes(content[:100])
    with pytest.raises(DataError, match=r"part-0\.parquet is damaged or not a Parquet file"):
        ParquetFiles(folder)


def test_folders_of_other_files_are_not_taken(tmp_path: Path) -> None:
    assert not holds_parquet(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.parquet").touch()
    assert holds_parquet(tmp_path)


def test_another_process_may_have_another_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"x": [1, 2, 3]})
    tables.write(table, tmp_path / "table")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(ParquetFiles(Path("table")))
    monkeypatch.chdir("/")
    assert read(pickle.loads(pickled)).equals(table)  # noqa: S301 - pickled here


def test_names_are_those_of_columns_in_memory(tmp_path: Path) -> None:
    parquet.write_table(pa.table({" a": [1, 2], "b\n(m)": [3, 4]}), tmp_path / "t.parquet")
    files = ParquetFiles(tmp_path / "t.parquet")
    assert files.names == ("a", "b (m)")
    assert read(files).to_pydict() == {"a": [1, 2], "b (m)": [3, 4]}
