"""Preprocessed and expanded rows against a slow loop; offset and scale come from the training rows."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.model.test_folded import MIXED, NUMBERS, rows_of
from training.data.dataset import Column
from training.model import features, preprocess


def preprocessed_by_loop(row: list[float], means: dict[int, float], deviations: dict[int, float]) -> list[float]:
    """Standard scores, 0 for a missing number; then flags of missing values; then one-hot categories."""
    numbers, missing, categories = [], [], []
    for index, (column, value) in enumerate(zip(MIXED, row, strict=True)):
        if column.type != "categorical":
            numbers.append(0.0 if math.isnan(value) else (value - means[index]) / deviations[index])
        if column.missing:
            missing.append(float(math.isnan(value)))
        categories += [float(value == code) for code in range(column.codes)]
    return numbers + missing + categories


def expanded(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Raw rows of `MIXED` as the first Linear layer gets them, without bins."""
    preparation, first = features.fitted(MIXED, inputs, np.arange(len(inputs)), 0)
    rows: np.ndarray[Any, Any] = first(preparation(torch.from_numpy(inputs))).numpy()
    return rows


def test_preprocessed_rows_equal_those_of_a_loop() -> None:
    inputs = rows_of(MIXED, 300)
    means = {index: float(np.nanmean(inputs[:, index].astype(np.float64))) for index in (0, 1, 3)}
    deviations = {index: float(np.nanstd(inputs[:, index].astype(np.float64))) for index in (0, 1, 3)}
    prepared = expanded(inputs)
    expected = np.array([preprocessed_by_loop(row, means, deviations) for row in inputs.tolist()])
    assert prepared.shape == (300, 8)
    assert np.abs(prepared - expected).max() < 1e-6
    assert np.array_equal(prepared[:, 3:], expected[:, 3:])


def test_each_number_is_standardised_and_the_rest_is_0_or_1() -> None:
    inputs = rows_of(MIXED, 300)
    prepared = expanded(inputs)
    present = np.where(np.isnan(inputs[:, [0, 1, 3]]), np.nan, prepared[:, :3])
    assert np.nanmean(present, axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.nanstd(present, axis=0) == pytest.approx([1, 1, 1], rel=1e-5)
    assert set(np.unique(prepared[:, 3:])) == {0, 1}


def test_pixels_are_standardised_together() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 6)).astype(np.uint8)
    pixels[:, 0] = 0
    prepared = preprocess.fitted(NUMBERS[:1] * 6, pixels, together=True)(torch.from_numpy(pixels.astype(np.float32)))
    assert prepared.numpy() == pytest.approx((pixels - pixels.mean()) / pixels.std(), abs=1e-5)


def test_a_constant_feature_keeps_scale_1() -> None:
    inputs = rows_of(NUMBERS, 1000)
    inputs[:, 1] = 0.1
    preparation = preprocess.fitted(NUMBERS, inputs, together=False)
    raw = torch.from_numpy(inputs)
    assert preparation(raw)[:, 1].unique().tolist() == [0]
    raw[:, 1] = 0.3
    assert preparation(raw)[:, 1].unique().tolist() == [pytest.approx(0.2)]


def test_a_feature_without_any_value_is_zero() -> None:
    inputs = rows_of(NUMBERS, 20)
    inputs[:, 1] = np.nan
    preparation = preprocess.fitted((NUMBERS[0], Column("f1", missing=True), *NUMBERS[2:]), inputs, together=False)
    assert preparation(torch.from_numpy(inputs))[:, [1, 5]].unique(dim=0).tolist() == [[0, 1]]


def test_numeric_rows_are_not_copied() -> None:
    inputs = torch.from_numpy(rows_of(NUMBERS, 20))
    assert preprocess.fitted(NUMBERS, inputs.numpy(), together=False).encode(inputs) is inputs


def far(rows: int) -> np.ndarray[Any, Any]:
    """`MIXED` raw rows in float64, with ages in seconds since 1970 and heights near the largest integer."""
    inputs = rows_of(MIXED, rows).astype(np.float64)
    inputs[:, 0] += 1_700_000_000
    inputs[:, 3] = 2.0**53 - np.random.default_rng(1).integers(0, 100, rows)
    return inputs


def test_float64_rows_far_from_zero_equal_those_of_a_loop() -> None:
    inputs = far(300)
    exact = [[Fraction(value) for value in column if not math.isnan(value)] for column in inputs.T.tolist()]
    centred = inputs.copy()
    means, deviations = {}, {}
    for index in (0, 1, 3):
        mean = sum(exact[index]) / len(exact[index])
        centred[:, index] = [
            math.nan if math.isnan(value) else float(Fraction(value) - mean) for value in inputs[:, index].tolist()
        ]
        means[index], deviations[index] = 0.0, float(np.nanstd(centred[:, index]))
    preparation, first = features.fitted(MIXED, inputs, np.arange(len(inputs)), 0)
    prepared = first(preparation(torch.from_numpy(inputs)))
    expected = np.array([preprocessed_by_loop(row, means, deviations) for row in centred.tolist()])
    assert (preparation.input_dtype, prepared.dtype) == (torch.float64, torch.float32)
    # The mean itself is rounded: near 2**53 to the next integer.
    assert np.abs(prepared[:, [0, 1]].numpy() - expected[:, [0, 1]]).max() < 1e-6
    assert np.abs(prepared[:, 2].numpy() - expected[:, 2]).max() <= 0.6 / deviations[3]
    assert np.array_equal(prepared[:, 3:].numpy(), expected[:, 3:])


def test_float64_numbers_are_standardised_before_rounding() -> None:
    inputs = 1e9 + np.random.default_rng(0).uniform(0, 1, (100, 5))
    encoded = preprocess.fitted(NUMBERS, inputs, together=False).encode(torch.from_numpy(inputs))
    assert encoded.dtype == torch.float32
    assert encoded.numpy() == pytest.approx((inputs - inputs.mean(axis=0)) / inputs.std(axis=0), abs=1e-5)


def test_a_float64_feature_without_any_value_is_zero() -> None:
    inputs = far(20)
    inputs[:, 0] = np.nan
    assert preprocess.fitted(MIXED, inputs, together=False)(torch.from_numpy(inputs))[:, 0].unique().tolist() == [0]
