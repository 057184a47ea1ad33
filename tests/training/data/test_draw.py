"""Groups stay together, times are cut between two of them, and parts that are given are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training import small
from tests.training.data.errors import message_of
from training.config import Config
from training.data.dataset import TEST, VALIDATION, Dataset, Division
from training.data.split import Split, split


def grouped(targets: NDArray[np.int64], groups: NDArray[np.int64], **division: Any) -> Dataset:
    labels = tuple(f"class {label}" for label in range(int(targets.max()) + 1))
    dataset = small.classes(small.noise(len(targets), 2), targets, labels)
    return replace(dataset, division=Division(groups=groups, column="patient", **division))


def timed(times: list[float] | NDArray[np.float64], targets: list[int] | None = None, **division: Any) -> Dataset:
    inputs = small.noise(len(times), 2)
    dataset = small.values(inputs, inputs[:, :1]) if targets is None else small.classes(inputs, targets)
    return replace(dataset, division=Division(times=np.asarray(times, np.float64), column="day", **division))


def parts(found: Split) -> list[NDArray[np.int64]]:
    return [found.train, found.validation, found.test]


@given(st.integers(0, 2**31), st.integers(9, 40), st.integers(2, 5))
def test_no_group_is_in_two_parts_and_every_row_in_one(seed: int, count: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    rows = count * 12
    targets = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    groups = random.integers(0, count, rows)
    found = parts(split(grouped(targets, groups), Config(seed=seed % 1000)))
    assert np.array_equal(np.sort(np.concatenate(found)), np.arange(rows))
    sets = [set(groups[part].tolist()) for part in found]
    assert all(sets)
    assert sum(map(len, sets)) == len(set(groups.tolist()))
    assert all(np.array_equal(part, np.sort(part)) for part in found)


def test_groups_are_stratified_as_far_as_they_allow() -> None:
    """Each group has one class, and a tenth of the groups the rare one: a plain draw of groups often has none of it."""
    groups = np.repeat(np.arange(100), 10)
    targets = (groups % 10 == 0).astype(np.int64)
    for seed in range(5):
        dataset = grouped(targets, groups)
        for part, rows, rare in zip(
            parts(split(dataset, Config(seed=seed))), (720, 80, 200), (70, 10, 20), strict=True
        ):
            assert len(part) == pytest.approx(rows, abs=20)
            assert targets[part].sum() == pytest.approx(rare, abs=10)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_group_is_for_training(seed: int) -> None:
    groups = np.repeat(np.arange(24), 10)
    targets = np.maximum(groups - 15, 0)  # 8 classes of one group, and one of 16
    found = split(grouped(targets, groups), Config(seed=seed))
    assert set(targets[found.train].tolist()) == set(range(9))


def test_a_group_larger_than_a_part_is_for_training() -> None:
    groups = np.concatenate([np.zeros(500, np.int64), 1 + np.arange(500) // 5])
    targets = np.random.default_rng(0).integers(0, 2, 1000)
    found = split(grouped(targets, groups), Config())
    assert 0 in groups[found.train]
    assert len(found.test) == pytest.approx(200, abs=10)


def test_groups_depend_on_the_seed_only() -> None:
    dataset = grouped(np.arange(200) % 2, np.arange(200) // 4)
    first = parts(split(dataset, Config(seed=1)))
    assert all(map(np.array_equal, parts(split(dataset, Config(seed=1))), first))
    assert not np.array_equal(split(dataset, Config(seed=2)).test, first[2])


@given(st.lists(st.integers(0, 30), min_size=12, max_size=200), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_training_is_before_validation_and_that_before_the_test(
    days: list[int], test: float, validation: float
) -> None:
    times = np.repeat(np.array([*days, 31, 32, 33], np.float64), 2)
    found = split(timed(times), Config(test_fraction=test, validation_fraction=validation))
    train, validation_rows, test_rows = (times[part] for part in parts(found))
    assert train.max() < validation_rows.min()
    assert validation_rows.max() < test_rows.min()
    assert len(train) + len(validation_rows) + len(test_rows) == len(times)


def test_the_latest_rows_are_drawn_in_their_shares() -> None:
    times = np.random.default_rng(0).permutation(1000).astype(np.float64)
    found = split(timed(times), Config(test_fraction=0.2, validation_fraction=0.1))
    assert [len(part) for part in parts(found)] == [720, 80, 200]
    assert found.how == {"validation": "the rows before the test rows by 'day'", "test": "the latest rows by 'day'"}


def test_parts_that_are_given_are_kept_and_the_others_drawn() -> None:
    codes = np.zeros(100, np.int8)
    codes[10:30] = TEST
    dataset = small.classes(small.noise(100, 2), np.arange(100) % 2)
    division = Division(codes, {"test": "those of the file t.csv"})
    found = split(replace(dataset, division=division), Config(validation_fraction=0.25))
    assert np.array_equal(found.test, np.arange(10, 30))
    assert len(found.validation) == 20
    assert found.how == {"validation": "drawn at random, stratified by class", "test": "those of the file t.csv"}
    codes[:10] = VALIDATION
    division = Division(codes, {"test": "a", "validation": "b"})
    found = split(replace(dataset, division=division), Config())
    assert [part.tolist() for part in parts(found)] == [[*range(30, 100)], [*range(10)], [*range(10, 30)]]


def test_the_latest_of_the_other_rows_validate_beside_a_given_test() -> None:
    codes = np.zeros(100, np.int8)
    codes[:20] = TEST
    found = split(timed(np.arange(100.0), parts=codes, given={"test": "x"}), Config(validation_fraction=0.25))
    assert found.validation.tolist() == [*range(80, 100)]
    assert found.how["validation"] == "the latest rows by 'day'"


def given_parts(targets: list[int], parts: list[int]) -> Dataset:
    codes = np.array(parts, np.int8)
    dataset = small.classes(small.noise(len(parts), 2), targets)
    return replace(dataset, division=Division(codes, {"test": "x", "validation": "y"}))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            grouped(np.arange(20) % 2, np.arange(20) // 10),
            "small needs at least 3 different values in 'patient' to train, to validate and to test, but has 2; divide "
            "its rows by another column, or give the parts with --split",
        ),
        (
            timed([1.0, 2, 2, 1]),
            "small needs at least 3 different values in 'day' to train, to validate and to test, but has 2; divide its "
            "rows by another column, or give the parts with --split",
        ),
        (
            timed(np.arange(20.0), [0] * 15 + [1] * 5),
            "small has the class 'bee' only in its validation and test rows, divided by 'day'; divide its rows by "
            "another column",
        ),
        (
            given_parts([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 2]),
            "small has the class 'bee' only in its given validation and test rows; move some of them to the training "
            "rows",
        ),
        (
            timed(np.arange(20.0) // 19 + np.arange(20.0) // 18),
            "small has 1 validation row, expected at least 2 to predict numbers; add more rows",
        ),
        (
            replace(small.sides(60), weights=np.zeros(60)),
            "the weights of the 43 training rows are all 0; give some of them a weight",
        ),
    ],
)
def test_rows_that_cannot_be_divided_are_rejected(dataset: Dataset, message: str) -> None:
    assert message_of(split, dataset, Config()) == message
