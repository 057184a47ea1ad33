"""Classes that are too rare to be in each part are left out, if two others are left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training import small
from training.data import rare_classes
from training.data.dataset import Dataset, Division

LABELS = ("ape", "bee", "cat", "dog")


def with_counts(*counts: int, test_rows: int = 0) -> Dataset:
    """Return ``counts`` rows of each of `LABELS` in turn, then test rows of the first; inputs are the rows' numbers."""
    targets = np.concatenate([np.repeat(np.arange(len(counts)), counts), np.zeros(test_rows, np.int64)])
    inputs = np.arange(len(targets), dtype=np.float32)[:, None]
    return small.classes(inputs, targets, LABELS[: len(counts)], test_rows=test_rows)


def test_rare_classes_are_left_out_with_a_note() -> None:
    dataset = replace(with_counts(3, 2, 4, 1), weights=np.arange(10.0))
    found = rare_classes.left_out(dataset)
    assert found.labels == ("ape", "cat")
    assert found.targets.tolist() == [0] * 3 + [1] * 4
    assert found.inputs[:, 0].tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert found.weights is not None
    assert found.weights.tolist() == found.inputs[:, 0].tolist()
    assert found.notes == (
        "left out, as a class needs 3 rows for the parts: 'bee' 2, 'dog' 1; add rows of them to predict them",
    )


def test_given_parts_need_no_rows() -> None:
    found = rare_classes.left_out(with_counts(4, 2, 1, test_rows=5))
    assert found.labels == ("ape", "bee")
    assert found.division.parts is not None
    assert found.division.parts.tolist() == [0] * 6 + [2] * 5
    assert found.notes[0].startswith("left out, as a class needs 2 rows for the parts: 'cat' 1; add rows of it to")


@pytest.mark.parametrize(
    "dataset",
    [
        with_counts(3, 3, 3),
        with_counts(9, 2),
        with_counts(2, 2, 2),
        replace(with_counts(9, 9, 1), division=Division(groups=np.arange(19))),
        replace(with_counts(9, 9, 1), division=Division(times=np.arange(19.0))),
        small.values(small.noise(9, 2), small.noise(9, 1)),
    ],
    ids=["no rare class", "one class left", "all rare", "groups", "times", "numbers"],
)
def test_others_stay_as_they_are(dataset: Dataset) -> None:
    assert rare_classes.left_out(dataset) is dataset
