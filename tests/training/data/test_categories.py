"""Categories that the training rows know well keep their code; the others share one."""

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


def test_rare_ones_and_those_that_training_rows_lack_become_others() -> None:
    nan = np.nan
    dataset = table([0, 0, 1, 2, 2, nan, 3, 3, 3], "abcd")
    found = categories.common(dataset, np.arange(6))
    assert found.columns == (Column("job", "categorical", missing=True, categories=("a", "c"), other=True),)
    expected = np.array([0, 0, 2, 1, 1, nan, 2, 2, 2], np.float32)
    assert np.array_equal(found.inputs[:, 0], expected, equal_nan=True)
    assert dataset.inputs[2, 0] == 1, "the data set it was made from stays as it was"


def test_where_none_is_rare_there_is_no_other() -> None:
    dataset = table([0, 1] * 3, "ab")
    found = categories.common(dataset, np.arange(6))
    assert found.columns == dataset.columns
    assert np.array_equal(found.inputs, dataset.inputs)


def test_the_most_common_one_stays_however_rare() -> None:
    found = categories.common(table([0, 1, 2, 1], "abc"), np.array([0, 1]))
    assert found.columns[0].categories == ("a",)
    assert found.inputs[:, 0].tolist() == [0, 1, 1, 1]


def test_no_more_than_the_most_are_kept() -> None:
    many = categories.MOST + 5
    codes = [float(code) for code in range(many) for _ in range(2 + (code >= 5))]
    column = Column("job", "categorical", categories=tuple(f"{code:03}" for code in range(many)))
    dataset = small.classes(np.array(codes, np.float32)[:, None], np.zeros(len(codes)), columns=(column,))
    found = categories.common(dataset, np.arange(len(codes)))
    assert found.columns[0].categories == column.categories[5:]
    assert found.columns[0].other


@pytest.mark.parametrize(("rows", "fewest"), [(10, 2), (299, 2), (300, 3), (999, 9), (1000, 10), (1_000_000, 10)])
def test_how_many_rows_a_category_needs(rows: int, fewest: int) -> None:
    assert categories.fewest_rows(rows) == fewest


def test_data_without_categories_is_not_even_copied() -> None:
    dataset = small.sides(20)
    assert categories.common(dataset, np.arange(20)).inputs is dataset.inputs
