"""Rows from files: JSON bodies, arrays and tables; random ones within their range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.errors import DataError
from training.release.importing import rows


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '{"inputs": [[1, 2], [3, 4]]}', [[1, 2], [3, 4]]),
        ("a.json", '{"instances": [[[1], [2]], [[3], [4]]]}', [[1, 2], [3, 4]]),
        ("a.json", "[[1.5, 2]]", [[1.5, 2]]),
        ("a.json", '{"inputs": [{"a": 1, "b": 2}]}', [[1, 2]]),
        ("a.csv", "1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a.csv", "\ufeffwidth,height\n3,4\n", [[3, 4]]),
    ],
)
def test_files(tmp_path: Path, name: str, content: str, expected: list[list[float]]) -> None:
    (tmp_path / name).write_text(content)
    assert rows.read(tmp_path / name).tolist() == expected


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    assert rows.read(tmp_path / "a.npy").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{}"),
        ("a.json", "[]"),
        ("a.json", "[1, 2]"),
        ("a.json", '[["x"]]'),
        ("a.json", "{"),
        ("a.json", "[[1], [1, 2]]"),
        ("a.csv", "a,b\n"),
        ("a.csv", ""),
        ("a.csv", "1,x\n"),
        ("a.npy", "no array"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_files_without_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"^--example {tmp_path / name} "):
        rows.read(tmp_path / name)


def test_random_rows() -> None:
    found = rows.random(3, 5, 7, whole=False)
    assert found.shape == (64, 3)
    assert found.min() >= 5
    assert found.max() <= 7
    assert set(rows.random(3, 0, 2, whole=True).ravel().tolist()) == {0, 1, 2}
