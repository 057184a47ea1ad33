"""Average ranks and ratios of losses, by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.ranks import average_ranks, ratio, ratios

LOSSES = {
    "a": {"first": [1.0, 2.0], "second": [3.0, 3.0]},
    "b": {"first": [2.0, 4.0], "second": [3.0, 1.0]},
    "c": {"first": [3.0, 1.0], "second": [9.0]},
}


def test_equal_losses_share_a_rank_and_a_seed_that_one_method_lacks_is_left_out() -> None:
    # The ranks are 1, 2, 3; then 2, 3, 1; then 1.5, 1.5, 3.
    assert average_ranks(LOSSES, ["a", "b", "c"]) == pytest.approx({"a": 1.5, "b": 6.5 / 3, "c": 7 / 3})


def test_a_ratio_is_of_the_means_and_their_mean_is_geometric() -> None:
    assert ratios(LOSSES, "b", "a") == pytest.approx({"first": 2.0, "second": 2 / 3})
    assert ratio(LOSSES, "b", "a") == pytest.approx(math.sqrt(4 / 3))
    assert ratios(LOSSES, "c", "a")["second"] == 3.0
