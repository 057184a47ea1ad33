"""Medians and their bootstrap intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import intervals
from benchmarks.intervals import Interval


def test_the_ratio_is_the_median_of_the_pairs_within_its_interval() -> None:
    pairs = [(100.0, 110.0), (50.0, 60.0), (200.0, 180.0), (100.0, 105.0), (10.0, 13.0)]
    median, low, high = intervals.of_ratios(pairs)
    assert median == 1.1
    assert 0.9 <= low < median < high <= 1.3


def test_equal_ratios_have_an_interval_of_one_value() -> None:
    found = intervals.of_ratios([(2.0, 3.0), (4.0, 6.0)])
    assert found == (1.5, 1.5, 1.5)
    assert found.width == 0


def test_the_width_is_relative_to_the_median() -> None:
    assert Interval(2.0, 1.9, 2.2).width == pytest.approx(0.15)
    assert Interval(-2.0, -2.2, -1.9).width == pytest.approx(0.15)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    """Of 400 intervals of nine log-normal values, as many miss the median 1 as a share of 95 % allows, and few more."""
    rng = np.random.default_rng(0)
    covered = sum(
        found.low <= 1 <= found.high for found in (intervals.of(rng.lognormal(0, 0.1, 9).tolist()) for _ in range(400))
    )
    assert 0.90 <= covered / 400 <= 0.99


def test_a_server_that_answers_nothing_has_an_infinite_ratio_without_a_width() -> None:
    found = intervals.of_ratios([(0.0, 5.0)] * 3)
    assert found.median == math.inf
    assert math.isnan(found.width)
