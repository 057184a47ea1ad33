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


def test_all_common_categories_keep_a_code_however_many() -> None:
    """Of thousands of levels, those of one row become `other`, and so does any level that training rows lack."""
    levels, rare = 2000, 500
    codes = np.concatenate([np.repeat(np.arange(levels - rare), 12), np.arange(levels - rare, levels)])
    names = tuple(f"{code:04}" for code in range(levels + 1))
    column = Column("job", "categorical", categories=names)
    inputs = np.append(codes, levels).astype(np.float32)[:, None]
    found = categories.group_rare(
        small.classes(inputs, np.zeros(len(inputs)), columns=(column,)), np.arange(len(codes))
    )
    assert found.columns[0].categories == names[: levels - rare]
    assert found.columns[0].other
    assert np.array_equal(found.inputs[:, 0], np.minimum(inputs[:, 0], levels - rare))


@pytest.mark.parametrize(("rows", "minimum"), [(10, 2), (299, 2), (300, 3), (999, 9), (1000, 10), (1_000_000, 10)])
def test_minimum_rows_of_a_category(rows: int, minimum: int) -> None:
    assert categories.min_rows(rows) == minimum


def test_inputs_without_categories_are_not_copied() -> None:
    dataset = small.sides(20)
    assert categories.group_rare(dataset, np.arange(20)).inputs is dataset.inputs
