"""Offset and scale are the training rows' own, and every row is encoded as a slow loop would encode it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.training.test_network import MIXED, NUMBERS, rows_of
from training import prepare
from training.data.dataset import Column


def prepared_by_hand(row: list[float], means: dict[int, float], deviations: dict[int, float]) -> list[float]:
    """Standard scores, of a missing number 0; then what is missing; then the categories."""
    numbers, missing, categories = [], [], []
    for place, (column, value) in enumerate(zip(MIXED, row, strict=True)):
        if column.kind != "categorical":
            numbers.append(0.0 if math.isnan(value) else (value - means[place]) / deviations[place])
        if column.missing:
            missing.append(float(math.isnan(value)))
        categories += [float(value == code) for code in range(column.codes)]
    return numbers + missing + categories


def test_rows_are_prepared_as_by_hand() -> None:
    inputs = rows_of(MIXED, 300)
    means = {place: float(np.nanmean(inputs[:, place].astype(np.float64))) for place in (0, 1, 3)}
    deviations = {place: float(np.nanstd(inputs[:, place].astype(np.float64))) for place in (0, 1, 3)}
    prepared = prepare.fitted(MIXED, inputs, together=False)(torch.from_numpy(inputs)).numpy()
    expected = np.array([prepared_by_hand(row, means, deviations) for row in inputs.tolist()])
    assert prepared.shape == (300, 8)
    assert np.abs(prepared - expected).max() < 1e-6
    assert np.array_equal(prepared[:, 3:], expected[:, 3:])


def test_each_number_is_standardised_by_itself_and_the_rest_left_alone() -> None:
    inputs = rows_of(MIXED, 300)
    prepared = prepare.fitted(MIXED, inputs, together=False)(torch.from_numpy(inputs)).numpy()
    present = np.where(np.isnan(inputs[:, [0, 1, 3]]), np.nan, prepared[:, :3])
    assert np.nanmean(present, axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert np.nanstd(present, axis=0) == pytest.approx([1, 1, 1], rel=1e-5)
    assert set(np.unique(prepared[:, 3:])) == {0, 1}


def test_pixels_are_standardised_together() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 6)).astype(np.uint8)
    pixels[:, 0] = 0
    prepared = prepare.fitted(NUMBERS[:1] * 6, pixels, together=True)(torch.from_numpy(pixels.astype(np.float32)))
    assert prepared.numpy() == pytest.approx((pixels - pixels.mean()) / pixels.std(), abs=1e-5)


def test_a_constant_feature_becomes_zero_and_stays_small_on_new_rows() -> None:
    inputs = rows_of(NUMBERS, 1000)
    inputs[:, 1] = 0.1
    preparation = prepare.fitted(NUMBERS, inputs, together=False)
    raw = torch.from_numpy(inputs)
    assert preparation(raw)[:, 1].unique().tolist() == [0]
    raw[:, 1] = 0.3
    assert preparation(raw)[:, 1].unique().tolist() == [pytest.approx(0.2)]


def test_a_feature_that_no_training_row_has_counts_as_zero() -> None:
    inputs = rows_of(NUMBERS, 20)
    inputs[:, 1] = np.nan
    preparation = prepare.fitted((NUMBERS[0], Column("f1", missing=True), *NUMBERS[2:]), inputs, together=False)
    assert preparation(torch.from_numpy(inputs))[:, [1, 5]].unique(dim=0).tolist() == [[0, 1]]


def test_plain_numbers_are_not_even_copied() -> None:
    inputs = torch.from_numpy(rows_of(NUMBERS, 20))
    assert prepare.fitted(NUMBERS, inputs.numpy(), together=False).encode(inputs) is inputs
