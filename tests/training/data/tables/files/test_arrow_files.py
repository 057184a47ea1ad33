"""Feather files and Arrow streams; Parquet is tested with the tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from tests.training.data.errors import message_of
from training.data.tables import reader

TABLE = pa.table({"n": [1.5, float("nan"), None], "word": pa.array(["x", "y", "x"]).dictionary_encode()})


def test_feather_file(tmp_path: Path) -> None:
    path = tmp_path / "t.feather"
    feather.write_feather(TABLE, path)
    assert reader.read(path).table.to_pydict() == {"n": [1.5, None, None], "word": ["x", "y", "x"]}


@pytest.mark.parametrize("opener", [pa.ipc.new_stream, pa.ipc.new_file])
def test_arrow_file_and_stream(tmp_path: Path, opener: object) -> None:
    path = tmp_path / "t.arrow"
    with opener(str(path), TABLE.schema) as writer:  # type: ignore[operator]
        writer.write_table(TABLE)
    found = reader.read(path)
    assert found.table.to_pydict() == {"n": [1.5, None, None], "word": ["x", "y", "x"]}
    assert found.typed == {"n", "word"}


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    path.write_bytes(b"x,label\n1,yes\n")
    assert message_of(reader.read, path).startswith(f"{path} is damaged or not an Arrow or Feather file: ")
