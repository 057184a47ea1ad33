"""The task inferred from the target: strings, booleans and few distinct integers are classes, others numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.data.errors import message_of
from training.data.dataset import Label
from training.data.tables import targets
from training.data.tables.targets import Target


def target(values: list[Any], task: str = "auto") -> Target:
    return targets.target_of(pa.table({"y": values}), task)


@pytest.mark.parametrize(
    ("values", "labels", "codes"),
    [
        (["b", "a", "b", "b", "a", "a"], ("a", "b"), [1, 0, 1, 1, 0, 0]),
        (["01", "1", "1", "1", "01", "01"], ("01", "1"), [0, 1, 1, 1, 0, 0]),
        ([True, False, True] * 2, (False, True), [1, 0, 1] * 2),
        ([10, 9, 10, 9, 10, 9], (9, 10), [1, 0] * 3),
        ([-1, 1] * 3, (-1, 1), [0, 1] * 3),
        ([1.0, 0.0] * 3, (0, 1), [1, 0] * 3),
        ([Decimal("10.00"), Decimal("9.00")] * 3, (9, 10), [1, 0] * 3),
    ],
)
def test_classes(values: list[Any], labels: tuple[Label, ...], codes: list[int]) -> None:
    found = target(values)
    assert (found.labels, found.values.tolist()) == (labels, codes)
    assert [type(label) for label in found.labels] == [type(label) for label in labels]


def test_integers_with_few_distinct_values_are_classes() -> None:
    assert target([row % 20 for row in range(60)]).labels == tuple(range(20))
    assert target([row % 21 for row in range(63)]).labels == ()
    assert target([row % 20 for row in range(59)]).labels == ()
    assert target([row % 2 + 0.5 for row in range(60)]).labels == ()


def test_integers_are_numbers_if_one_is_too_rare_for_a_class() -> None:
    counts = [0] * 50 + [1] * 30 + [2] * 10 + [7] * 2
    assert target(counts).labels == ()
    assert target(counts).note == (
        "target y (0 to 7): numbers, as 7 is too rare for a class; use --task classification to treat each value as a "
        "class"
    )
    assert target([*counts, 7]).labels == (0, 1, 2, 7)
    assert target(counts, "classification").labels == (0, 1, 2, 7)
    assert target([0] * 50 + [1] * 2).labels == (0, 1)
    assert targets.target_of(pa.table({"y": counts}), "auto", sampled=True).labels == (0, 1, 2, 7)


def test_task_overrides_the_inferred_one() -> None:
    grades = [row % 3 for row in range(9)]
    assert target(grades, "regression").values.tolist() == [[grade] for grade in grades]
    assert target([grade / 2 for grade in grades], "classification").labels == ("0", "0.5", "1")
    many = [row % 30 for row in range(90)]
    assert target(many, "classification").labels == tuple(range(30))


def test_note_says_what_was_inferred_and_how_to_change_it() -> None:
    assert target([True, False] * 3).note == "target y: 2 classes (false, true)"
    assert target([1, 2] * 3).note == "target y: 2 classes (1, 2); use --task regression to predict numbers"
    assert target([1, 2] * 3, "classification").note == "target y: 2 classes (1, 2)"
    assert target([0.5, 2] * 3).note == (
        "target y (0.5 to 2): numbers; use --task classification to treat each value as a class"
    )
    assert target([0.5, 2] * 3, "regression").note == "target y (0.5 to 2): numbers"
    assert target([f"c{row % 12:02}" for row in range(36)]).note == (
        "target y: 12 classes (c00, c01, c02, c03, c04, c05, c06, c07, c08, c09 and 2 more)"
    )


def test_too_many_numeric_classes_suggest_regression() -> None:
    assert message_of(target, [row / 2 for row in range(9)], "classification") == (
        "target 'y' has 9 different values in 9 rows, expected at least 3 rows per class; choose another --target, or "
        "predict numbers with --task regression"
    )


def test_numeric_target_is_float64() -> None:
    values = [1_700_000_000 + row for row in range(63)]
    found = target(values, "regression")
    assert (found.values.dtype, found.values[:, 0].tolist()) == (np.float64, values)
    assert found.note == "target y (1700000000 to 1700000062): numbers"


def test_note_warns_of_integers_that_float64_rounds() -> None:
    found = target([2**60 + 256 * row for row in range(63)], "regression")
    assert found.note.endswith(": numbers; y is so large that float64 rounds it to multiples of 256")


def test_note_warns_of_outliers() -> None:
    found = target([0, *(1_700_000_000 + row for row in range(63))], "regression")
    assert found.note.endswith("; y has outliers that hide the differences between its other values: remove those rows")
