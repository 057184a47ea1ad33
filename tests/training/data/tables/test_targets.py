"""The task is told by the target column: texts, booleans and few whole numbers are classes, other numbers numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from training.data.dataset import Label
from training.data.tables import targets
from training.data.tables.targets import Target
from training.errors import DataError


def of(values: list[Any], task: str = "auto") -> Target:
    return targets.target_of(pa.table({"y": values}), task)


@pytest.mark.parametrize(
    ("values", "labels", "places"),
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
def test_classes(values: list[Any], labels: tuple[Label, ...], places: list[int]) -> None:
    found = of(values)
    assert (found.labels, found.values.tolist()) == (labels, places)
    assert [type(label) for label in found.labels] == [type(label) for label in labels]


def test_few_whole_numbers_are_classes_and_many_are_not() -> None:
    assert of([row % 20 for row in range(60)]).labels == tuple(range(20))
    assert of([row % 21 for row in range(63)]).labels == ()
    assert of([row % 20 for row in range(59)]).labels == ()
    assert of([row % 2 + 0.5 for row in range(60)]).labels == ()


def test_the_user_has_the_last_word() -> None:
    grades = [row % 3 for row in range(9)]
    assert of(grades, "regression").values.tolist() == [[grade] for grade in grades]
    assert of([grade / 2 for grade in grades], "classification").labels == ("0", "0.5", "1")
    many = [row % 30 for row in range(90)]
    assert of(many, "classification").labels == tuple(range(30))


def test_the_note_says_what_was_told_and_how_to_say_otherwise() -> None:
    assert of([True, False] * 3).note == "target y: 2 classes (false, true)"
    assert of([1, 2] * 3).note == "target y: 2 classes (1, 2); --task regression would take it for a number"
    assert of([1, 2] * 3, "classification").note == "target y: 2 classes (1, 2)"
    assert of([0.5, 2] * 3).note == (
        "target y (0.5 to 2): numbers; --task classification would take each value for a class"
    )
    assert of([0.5, 2] * 3, "regression").note == "target y (0.5 to 2): numbers"
    assert of([f"c{row % 12:02}" for row in range(36)]).note == (
        "target y: 12 classes (c00, c01, c02, c03, c04, c05, c06, c07, c08, c09 and 2 more)"
    )


def test_numbers_taken_for_classes_have_a_way_back() -> None:
    with pytest.raises(DataError) as caught:
        of([row / 2 for row in range(9)], "classification")
    assert str(caught.value) == (
        "target 'y' has 9 different values in 9 rows, and each class needs 3 rows or more; name another --target, or "
        "predict numbers with --task regression"
    )


def test_numbers_stay_as_the_file_has_them() -> None:
    values = [1_700_000_000 + row for row in range(63)]
    found = of(values, "regression")
    assert (found.values.dtype, found.values[:, 0].tolist()) == (np.float64, values)
    assert found.note == "target y (1700000000 to 1700000062): numbers"


def test_whole_numbers_that_float64_rounds_are_told() -> None:
    found = of([2**60 + 256 * row for row in range(63)], "regression")
    assert found.note.endswith(": numbers; float64 rounds those of y to steps of 256, as they are so large")


def test_numbers_far_away_from_all_others_are_told() -> None:
    found = of([0, *(1_700_000_000 + row for row in range(63))], "regression")
    assert found.note.endswith(
        "; some of y are so far from the others that what tells those apart is lost: leave such rows out"
    )
