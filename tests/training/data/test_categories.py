"""Common categories keep a code; rare ones share the code `other`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training import small
from training.data import categories
from training.data.dataset import Column, Dataset


def table(codes: list[float], names: str, *more: Column) -> Dataset:
    column = Column("job", "categorical", bool(np.isnan(codes).any()), tuple(names))
    inputs = np.array(codes, np.float32)[:, None]
    return small.classes(inputs, np.zeros(len(codes)), columns=(column, *more))


def test_categories_that_are_rare_in_training_rows_become_other() -> None:
    nan = np.nan
    dataset = table([0, 0, 1, 2, 2, nan, 3, 3, 3], "abcd")
    found = categories.group_rare(dataset, np.arange(6))
    assert found.columns == (Column("job", "categorical", missing=True, categories=("a", "c"), other=True),)
    expected = np.array([0, 0, 2, 1, 1, nan, 2, 2, 2], np.float32)
    assert np.array_equal(found.inputs[:, 0], expected, equal_nan=True)
    assert dataset.inputs[2, 0] == 1, "the original is unchanged"


def test_without_rare_categories_there_is_no_other() -> None:
    dataset = table([0, 1] * 3, "ab")
    found = categories.group_rare(dataset, np.arange(6))
    assert found.columns == dataset.columns
    assert np.array_equal(found.inputs, dataset.inputs)


def test_most_common_category_is_always_kept() -> None:
    found = categories.group_rare(table([0, 1, 2, 1], "abc"), np.array([0, 1]))
    assert found.columns[0].categories == ("a",)
    assert found.inputs[:, 0].tolist() == [0, 1, 1, 1]


def test_number_of_categories_is_limited() -> None:
    many = categories.MAX_CATEGORIES + 5
    codes = [float(code) for code in range(many) for _ in range(2 + (code >= 5))]
    column = Column("job", "categorical", categories=tuple(f"{code:03}" for code in range(many)))
    dataset = small.classes(np.array(codes, np.float32)[:, None], np.zeros(len(codes)), columns=(column,))
    found = categories.group_rare(dataset, np.arange(len(codes)))
    assert found.columns[0].categories == column.categories[5:]
    assert found.columns[0].other


@pytest.mark.parametrize(("rows", "minimum"), [(10, 2), (299, 2), (300, 3), (999, 9), (1000, 10), (1_000_000, 10)])
def test_minimum_rows_of_a_category(rows: int, minimum: int) -> None:
    assert categories.min_rows(rows) == minimum


def test_inputs_without_categories_are_not_copied() -> None:
    dataset = small.sides(20)
    assert categories.group_rare(dataset, np.arange(20)).inputs is dataset.inputs
