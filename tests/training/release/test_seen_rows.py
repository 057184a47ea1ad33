"""Rows are recognized by their content, whatever the codes of categories and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training import small
from training.data.dataset import Column
from training.release import seen_rows

ALL = np.arange(4)


def test_the_file_has_each_row_once() -> None:
    dataset = small.sides(500)
    rows = np.concatenate([np.arange(100), np.arange(100)])
    content = seen_rows.file_of(dataset, rows)
    assert content is not None
    found = seen_rows.read(content)
    assert len(found) == 100
    assert np.isin(seen_rows.hashes(dataset, np.arange(500)), found).tolist() == [True] * 100 + [False] * 400


def test_codes_do_not_matter() -> None:
    inputs = np.array([[0, 1], [1, 2], [2, np.nan], [0, 5]], np.float32)
    job = Column("job", "categorical", categories=("cook", "nurse"), other=True)
    old = small.classes(inputs, [0, 1, 0, 1], ("no", "yes"), columns=(job, Column("age", missing=True)))
    recoded = np.array([[2, 1], [0, 2], [3, np.nan], [2, 5]], np.float32)
    new = replace(
        old,
        inputs=recoded,
        targets=np.array([1, 0, 1, 0]),
        labels=("yes", "no"),
        columns=(replace(job, categories=("nurse", "pilot", "cook")), old.columns[1]),
    )
    assert np.array_equal(seen_rows.hashes(old, ALL), seen_rows.hashes(new, ALL))


@pytest.mark.parametrize("change", [(0, 0), (3, 1)])
def test_each_value_counts(change: tuple[int, int]) -> None:
    inputs = small.noise(4, 2)
    other = inputs.copy()
    other[change] += 1e-6
    first, second = (seen_rows.hashes(small.classes(each, [0, 1, 0, 1]), ALL) for each in (inputs, other))
    assert (first != second).tolist() == [row == change[0] for row in range(4)]


def test_the_target_and_the_column_count() -> None:
    inputs = np.array([[1, 2], [2, 1], [1, 2], [0.0, 0]], np.float32)
    targets = np.array([1, 1, 2, 0], np.float32)
    assert len(np.unique(seen_rows.hashes(small.values(inputs, targets), ALL))) == 4
    negative = seen_rows.hashes(small.values(-0.0 * inputs, targets * 0), ALL)
    assert len(np.unique(negative)) == 1


def test_hashes_do_not_collide() -> None:
    dataset = small.classes(np.arange(200_000, dtype=np.float32)[:, None], np.zeros(200_000, np.int64))
    assert len(np.unique(seen_rows.hashes(dataset, np.arange(200_000)))) == 200_000


def test_too_many_rows_are_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_rows, "MAX_ROWS", 3)
    assert seen_rows.file_of(small.sides(4), ALL) is None
    assert seen_rows.file_of(small.sides(4), ALL[:3]) is not None
