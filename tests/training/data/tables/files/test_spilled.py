"""Columns in temporary files: the same values, and no files left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from training.data.tables.files import spilled

TABLE = pa.table({"a": ["x", "", "grün"] * 50, "b": [str(number) for number in range(150)]})


def test_columns_are_those_of_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = spilled.columns_of(TABLE.schema, TABLE.to_batches(max_chunksize=40))
    assert [column.to_pylist() for column in found] == [column.to_pylist() for column in TABLE.columns]
    assert [column.type for column in found] == [pa.string()] * 2
    assert not list(tmp_path.iterdir())


def test_errors_of_the_reader_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def batches() -> object:
        yield from TABLE.to_batches(max_chunksize=40)
        raise pa.ArrowInvalid("a short row")

    with pytest.raises(pa.ArrowInvalid, match="a short row"):
        spilled.columns_of(TABLE.schema, batches())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
