"""Columns in temporary files: the same values, also after their memory was given back, and no files left."""

from __future__ import annotations

import tempfile
from decimal import Decimal
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


@pytest.mark.parametrize(
    "values",
    [[0.1, None, -1e300], [2**62, None], [True, False, None], ["x", "", None, "grün"], [None, None], [Decimal("1.50")]],
)
def test_a_moved_column_has_the_same_values_and_nulls(values: list[object]) -> None:
    array = pa.chunked_array([pa.array(values), pa.array(values[:1], pa.array(values).type)])
    found = spilled.moved(array)
    spilled.give_back()
    assert found.equals(array)
    assert found.type == array.type


def test_a_column_stays_in_memory_if_there_is_no_place_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    array = pa.chunked_array([[1, 2]])
    assert spilled.moved(array) is array


def test_a_table_of_columns_is_that_of_arrow() -> None:
    assert spilled.table_of(TABLE.columns, TABLE.column_names).equals(TABLE)
