"""Average ranks and ratios of losses, by hand and by scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from benchmarks.ranks import average_ranks, ratio, ratios

LOSSES = {
    "a": {"first": [1.0, 2.0], "second": [3.0, 3.0]},
    "b": {"first": [2.0, 4.0], "second": [3.0, 1.0]},
    "c": {"first": [3.0, 1.0], "second": [9.0]},
}


def test_ranks_are_scipys_and_a_seed_that_one_method_lacks_is_left_out() -> None:
    rows = [(1.0, 2.0, 3.0), (2.0, 4.0, 1.0), (3.0, 3.0, 9.0)]
    expected = stats.rankdata(rows, axis=1).mean(axis=0)
    assert list(average_ranks(LOSSES, ["a", "b", "c"]).values()) == pytest.approx(list(expected))


def test_a_ratio_is_of_the_means_and_their_mean_is_geometric() -> None:
    assert ratios(LOSSES, "b", "a") == pytest.approx({"first": 2.0, "second": 2 / 3})
    assert ratio(LOSSES, "b", "a") == pytest.approx(math.sqrt(4 / 3))
    assert ratios(LOSSES, "c", "a")["second"] == 3.0
