"""The three parts of a data set: whole, apart, by seed, and each class in all of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training import small
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.errors import DataError

LABELS = ("ape", "bee", "cat")


def counted(*counts: int, test_rows: int = 0) -> Dataset:
    """As many rows of each of `LABELS` as told, in random order; the publisher's own test rows come last."""
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    targets = np.concatenate([targets, np.zeros(test_rows, np.int64)])
    return small.classes(small.noise(len(targets), 2), targets, LABELS[: len(counts)], test_rows=test_rows)


def parts(found: Split) -> list[list[int]]:
    return [part.tolist() for part in (found.train, found.validation, found.test)]


def per_class(dataset: Dataset, found: Split) -> list[list[int]]:
    return [
        np.bincount(dataset.targets[part], minlength=len(dataset.labels)).tolist()
        for part in (found.train, found.validation, found.test)
    ]


def test_every_row_is_in_one_part_and_in_order() -> None:
    train, validation, test = parts(split(counted(50, 30, 20), Config()))
    assert sorted(train + validation + test) == list(range(100))
    assert [train, validation, test] == [sorted(train), sorted(validation), sorted(test)]


def test_each_part_has_each_class_in_its_share() -> None:
    dataset = counted(500, 300, 200)
    found = split(dataset, Config(test_fraction=0.2, validation_fraction=0.15))
    assert per_class(dataset, found) == [[340, 204, 136], [60, 36, 24], [100, 60, 40]]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_three_rows_of_a_class_are_one_for_each_part(fraction: float, seed: int) -> None:
    dataset = counted(400, 3, 30)
    found = split(dataset, Config(test_fraction=fraction, validation_fraction=fraction, seed=seed))
    assert [counts[1] for counts in per_class(dataset, found)] == [1, 1, 1]


def test_the_seed_alone_chooses_the_rows() -> None:
    dataset = counted(60, 40)
    first = parts(split(dataset, Config(seed=1)))
    assert parts(split(dataset, Config(seed=1))) == first
    other = parts(split(dataset, Config(seed=2)))
    assert all(one != another for one, another in zip(first, other, strict=True))


def test_the_publishers_test_split_is_kept_whatever_is_asked_for() -> None:
    dataset = counted(60, 40, test_rows=25)
    for seed in (1, 2):
        train, validation, test = parts(split(dataset, Config(test_fraction=0.5, seed=seed)))
        assert test == list(range(100, 125))
        assert sorted(train + validation) == list(range(100))


def test_a_regression_is_split_by_its_rows() -> None:
    dataset = small.values(small.noise(200, 2), small.noise(200, 1))
    found = split(dataset, Config(test_fraction=0.2, validation_fraction=0.1))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [144, 16, 40]
    assert sorted(np.concatenate(parts(found))) == list(range(200))


def test_the_smallest_regression_leaves_two_rows_for_each_part() -> None:
    found = split(small.values(small.noise(6, 2), small.noise(6, 1)), Config(test_fraction=0.01))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            counted(20, 2, 20),
            "small needs 3 rows of class 'bee' to train, to validate and to test, and has 2; "
            "bring more rows, or drop the class",
        ),
        (
            counted(20, 1, 20, test_rows=9),
            "small needs 2 rows of class 'bee' to train and to validate, and has 1; bring more rows, or drop the class",
        ),
        (counted(50), "small has one class alone, 'ape'; there is nothing to tell apart"),
        (
            small.values(small.noise(5, 2), small.noise(5, 1)),
            "small needs 6 rows to train, to validate and to test, and has 5; bring more rows",
        ),
    ],
)
def test_too_little_to_split_is_refused(dataset: Dataset, message: str) -> None:
    with pytest.raises(DataError) as refused:
        split(dataset, Config())
    assert str(refused.value) == message
