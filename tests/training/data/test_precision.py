"""float32 is too coarse where it changes the differences between values, judged beside every pair of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.data import precision

ROWS = 2000


def uniform(low: float, high: float) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(low, high, ROWS)


def whole(low: int, high: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).integers(low, high, ROWS).astype(np.float64)


NOW = 1_700_000_000
BLURRED = {
    "seconds since 1970 in an hour": whole(NOW, NOW + 3600),
    "seconds since 1970 in a day": whole(NOW, NOW + 86_400),
    "milliseconds since 1970": whole(NOW * 1000, (NOW + 3600) * 1000),
    "seconds, and 0 for never": np.where(np.arange(ROWS) % 3, 0, whole(NOW, NOW + 3600)),
    "seconds, and one in the year 9999": np.append(whole(NOW, NOW + 3600), 253_402_300_799),
    "seconds, of which most are missing": np.where(np.arange(ROWS) % 10, np.nan, whole(NOW, NOW + 3600)),
    "ids that count on from 2**24": np.arange(2.0**24, 2.0**24 + ROWS),
    "two ids beside each other": np.where(np.arange(ROWS) % 2, 2.0**24, 2.0**24 + 1),
    "the two largest": np.where(np.arange(ROWS) % 2, 2.0**53 - 1, 2.0**53),
    "ids near 2**53": np.arange(2.0**53 - ROWS, 2.0**53),
    "negative": -whole(NOW, NOW + 3600),
    "small differences far from zero": 1e9 + uniform(0, 1),
    "smaller than float32 can be": uniform(1e-42, 2e-42),
    "one row that differs": np.append(np.full(ROWS, 1e9), 1e9 + 1),
}
HELD = {
    "of any size": 10 ** uniform(-3, 12),
    "of any size, widely": 10 ** uniform(-30, 30),
    "evenly spread": uniform(0, 1),
    "years": whole(1950, 2030),
    "places": uniform(-74.1, -73.8),
    "whole numbers up to 2**24": whole(2**24 - 2000, 2**24),
    "ids far from each other": whole(0, 2**53),
    "seconds since 1970 in ten years": whole(NOW, NOW + 315_360_000),
    "sums that ended in different last digits": np.where(np.arange(ROWS) % 2, 0.3, 0.1 + 0.2),
    "one value": np.full(ROWS, 0.1),
    "no value": np.full(ROWS, np.nan),
    "float32": uniform(1e9, 1e9 + 1).astype(np.float32),
}


@pytest.mark.parametrize("values", BLURRED.values(), ids=BLURRED)
def test_what_float32_cannot_hold_apart(values: NDArray[Any]) -> None:
    assert precision.float32_blurs(values)


@pytest.mark.parametrize("values", HELD.values(), ids=HELD)
def test_what_it_holds(values: NDArray[Any]) -> None:
    assert not precision.float32_blurs(values)


def test_values_far_away_from_all_others_blur_them_even_when_standardised() -> None:
    for name in ("seconds, and 0 for never", "seconds, and one in the year 9999"):
        assert precision.outliers_blur(BLURRED[name])
    for name in ("seconds since 1970 in an hour", "seconds, of which most are missing", "the two largest", "negative"):
        assert not precision.outliers_blur(BLURRED[name])


@given(
    st.floats(-1e15, 1e15),
    st.floats(1e-3, 1e6),
    st.integers(0, 2**32 - 1),
)
def test_it_is_as_every_pair_says(offset: float, spread: float, seed: int) -> None:
    values = offset + np.random.default_rng(seed).normal(0, spread, 200)
    apart = values[:, None] - values
    rounded = values.astype(np.float32).astype(np.float64)
    changed = np.abs(rounded[:, None] - rounded - apart) > 0.01 * np.abs(apart)
    differ = np.abs(apart) > 2.0**-44 * np.maximum(np.abs(values[:, None]), np.abs(values))
    share = (changed & differ).sum() / max(differ.sum(), 1)
    if not 0.008 < share < 0.012:  # a sample of pairs cannot tell these
        assert precision.float32_blurs(values) == (share > 0.01)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.array([1.0, 2.0**53]), None),
        (np.array([np.nan, 2.0**53 + 2]), 2.0),
        (np.array([-(2.0**60), 5.0]), 256.0),
        (np.array([0.5, 1e20]), None),
        (np.array([np.nan]), None),
    ],
)
def test_whole_numbers_that_even_float64_rounds(values: NDArray[np.float64], step: float | None) -> None:
    assert precision.float64_step(values) == step


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (1234.5678, 100, "1235"),
        (0.0, 0.0, "0"),
        (2012.3, 5, "2012"),
        (1_700_001_234.0, 1000, "1700001234"),
        (1e9 + 0.25, 0.3, "1000000000.25"),
        (-1_700_001_234.0, 1000, "-1700001234"),
        (3e30, 1e30, "3e+30"),
        (5e8, 0.0, "5e+08"),
    ],
)
def test_values_far_from_zero_are_shown_with_what_tells_them_apart(value: float, spread: float, expected: str) -> None:
    assert precision.shown(value, spread) == expected
