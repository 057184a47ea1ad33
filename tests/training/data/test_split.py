"""The three parts are complete, disjoint, determined by the seed, and stratified by class."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training import small
from tests.training.data.errors import message_of
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split, split

LABELS = ("ape", "bee", "cat")


def with_counts(*counts: int, test_rows: int = 0) -> Dataset:
    """Return ``counts`` rows of each of `LABELS` in random order, then the publisher's test rows."""
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


def test_every_row_is_in_one_part_in_order() -> None:
    train, validation, test = parts(split(with_counts(50, 30, 20), Config()))
    assert sorted(train + validation + test) == list(range(100))
    assert [train, validation, test] == [sorted(train), sorted(validation), sorted(test)]


def test_parts_are_stratified() -> None:
    dataset = with_counts(500, 300, 200)
    found = split(dataset, Config(test_fraction=0.2, validation_fraction=0.15))
    assert per_class(dataset, found) == [[340, 204, 136], [60, 36, 24], [100, 60, 40]]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_class_of_three_rows_is_in_each_part(fraction: float, seed: int) -> None:
    dataset = with_counts(400, 3, 30)
    found = split(dataset, Config(test_fraction=fraction, validation_fraction=fraction, seed=seed))
    assert [counts[1] for counts in per_class(dataset, found)] == [1, 1, 1]


def test_split_depends_on_the_seed_only() -> None:
    dataset = with_counts(60, 40)
    first = parts(split(dataset, Config(seed=1)))
    assert parts(split(dataset, Config(seed=1))) == first
    other = parts(split(dataset, Config(seed=2)))
    assert all(one != another for one, another in zip(first, other, strict=True))


def test_publishers_test_split_is_kept() -> None:
    dataset = with_counts(60, 40, test_rows=25)
    for seed in (1, 2):
        train, validation, test = parts(split(dataset, Config(test_fraction=0.5, seed=seed)))
        assert test == list(range(100, 125))
        assert sorted(train + validation) == list(range(100))


def test_regression_is_split_by_rows() -> None:
    dataset = small.values(small.noise(200, 2), small.noise(200, 1))
    found = split(dataset, Config(test_fraction=0.2, validation_fraction=0.1))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [144, 16, 40]
    assert sorted(np.concatenate(parts(found))) == list(range(200))


def test_smallest_regression_has_two_rows_per_part() -> None:
    found = split(small.values(small.noise(6, 2), small.noise(6, 1)), Config(test_fraction=0.01))
    assert [len(part) for part in (found.train, found.validation, found.test)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            with_counts(20, 2, 20),
            "small needs at least 3 rows of each class to train, to validate and to test, but has 2 of class 'bee'; "
            "add more rows or leave these out",
        ),
        (
            with_counts(20, 1, 20, test_rows=9),
            "small needs at least 2 rows of each class to train and to validate, but has 1 of class 'bee'; add more "
            "rows or leave these out",
        ),
        (
            with_counts(20, 2, 1),
            "small needs at least 3 rows of each class to train, to validate and to test, but has 2 of class 'bee', "
            "1 of class 'cat'; add more rows or leave these out",
        ),
        (with_counts(50), "small has only the class 'ape', expected at least two"),
        (
            small.values(small.noise(5, 2), small.noise(5, 1)),
            "small needs at least 6 rows to train, to validate and to test, but has 5; add more rows",
        ),
    ],
)
def test_too_few_rows_are_rejected(dataset: Dataset, message: str) -> None:
    assert message_of(split, dataset, Config()) == message
