"""Influence: features that move the outputs come first, in the order of how much they move them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training import small
from training.release.influence import most_influential


def test_features_come_in_the_order_of_their_weight() -> None:
    weights = np.array([0.1, 0.0, 5.0, -1.0])
    order = most_influential(lambda inputs: (inputs @ weights)[:, None], small.noise(500, 4))
    assert order == [2, 3, 0, 1]


def test_outputs_count_alike_whatever_their_scale() -> None:
    inputs = small.noise(500, 2)
    order = most_influential(lambda rows: np.stack([1000 * rows[:, 0] + 900 * rows[:, 1], rows[:, 1]], axis=1), inputs)
    assert order == [1, 0]


def test_missing_values_and_outputs_that_never_change_are_no_obstacle() -> None:
    inputs = small.noise(100, 3)
    inputs[::3, 1] = np.nan
    assert most_influential(lambda rows: np.nan_to_num(rows[:, 1:2]), inputs)[0] == 1
    assert most_influential(lambda rows: np.zeros((len(rows), 1)), inputs) == [0, 1, 2]


@pytest.mark.parametrize(("features", "most_rows"), [(2000, 50), (2001, 0)])
def test_wide_tables_take_few_rows_or_stay_as_they_are(features: int, most_rows: int) -> None:
    seen: list[int] = []

    def outputs_of(inputs: NDArray[Any]) -> NDArray[Any]:
        seen.append(len(inputs))
        return inputs[:, :1]

    order = most_influential(outputs_of, small.noise(60, features))
    assert order[0] == 0
    assert max(seen, default=0) == most_rows
