"""Which values float32 is too coarse for, compared with a test of every pair."""

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


def integers(low: int, high: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).integers(low, high, ROWS).astype(np.float64)


NOW = 1_700_000_000
NEED_FLOAT64 = {
    "seconds since 1970 in an hour": integers(NOW, NOW + 3600),
    "seconds since 1970 in a day": integers(NOW, NOW + 86_400),
    "milliseconds since 1970": integers(NOW * 1000, (NOW + 3600) * 1000),
    "seconds, and 0 for never": np.where(np.arange(ROWS) % 3, 0, integers(NOW, NOW + 3600)),
    "seconds, and one in the year 9999": np.append(integers(NOW, NOW + 3600), 253_402_300_799),
    "seconds, of which most are missing": np.where(np.arange(ROWS) % 10, np.nan, integers(NOW, NOW + 3600)),
    "ids that count on from 2**24": np.arange(2.0**24, 2.0**24 + ROWS),
    "two adjacent ids": np.where(np.arange(ROWS) % 2, 2.0**24, 2.0**24 + 1),
    "the two largest": np.where(np.arange(ROWS) % 2, 2.0**53 - 1, 2.0**53),
    "ids near 2**53": np.arange(2.0**53 - ROWS, 2.0**53),
    "negative": -integers(NOW, NOW + 3600),
    "small differences far from zero": 1e9 + uniform(0, 1),
    "smaller than float32 can be": uniform(1e-42, 2e-42),
    "one row that differs": np.append(np.full(ROWS, 1e9), 1e9 + 1),
}
NEED_FLOAT32 = {
    "of any magnitude": 10 ** uniform(-3, 12),
    "of any magnitude, widely": 10 ** uniform(-30, 30),
    "evenly spread": uniform(0, 1),
    "years": integers(1950, 2030),
    "longitudes": uniform(-74.1, -73.8),
    "integers up to 2**24": integers(2**24 - 2000, 2**24),
    "ids far from each other": integers(0, 2**53),
    "seconds since 1970 in ten years": integers(NOW, NOW + 315_360_000),
    "sums with different rounding errors": np.where(np.arange(ROWS) % 2, 0.3, 0.1 + 0.2),
    "one value": np.full(ROWS, 0.1),
    "no value": np.full(ROWS, np.nan),
    "float32": uniform(1e9, 1e9 + 1).astype(np.float32),
}


@pytest.mark.parametrize("values", NEED_FLOAT64.values(), ids=NEED_FLOAT64)
def test_values_that_need_float64(values: NDArray[Any]) -> None:
    assert precision.needs_float64(values)


@pytest.mark.parametrize("values", NEED_FLOAT32.values(), ids=NEED_FLOAT32)
def test_values_that_float32_is_enough_for(values: NDArray[Any]) -> None:
    assert not precision.needs_float64(values)


def test_outliers_hide_differences_even_when_standardised() -> None:
    for name in ("seconds, and 0 for never", "seconds, and one in the year 9999"):
        assert precision.outliers_hide_differences(NEED_FLOAT64[name])
    for name in ("seconds since 1970 in an hour", "seconds, of which most are missing", "the two largest", "negative"):
        assert not precision.outliers_hide_differences(NEED_FLOAT64[name])


@given(
    st.floats(-1e15, 1e15),
    st.floats(1e-3, 1e6),
    st.integers(0, 2**32 - 1),
)
def test_sampled_pairs_agree_with_all_pairs(offset: float, spread: float, seed: int) -> None:
    values = offset + np.random.default_rng(seed).normal(0, spread, 200)
    difference = values[:, None] - values
    rounded = values.astype(np.float32).astype(np.float64)
    changed = np.abs(rounded[:, None] - rounded - difference) > 0.01 * np.abs(difference)
    differ = np.abs(difference) > 2.0**-44 * np.maximum(np.abs(values[:, None]), np.abs(values))
    share = (changed & differ).sum() / max(differ.sum(), 1)
    if not 0.008 < share < 0.012:  # too close to 1 % for a sample
        assert precision.needs_float64(values) == (share > 0.01)


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
def test_step_of_integers_that_float64_rounds(values: NDArray[np.float64], step: float | None) -> None:
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
def test_values_far_from_zero_have_enough_digits(value: float, spread: float, expected: str) -> None:
    assert precision.format_value(value, spread) == expected
