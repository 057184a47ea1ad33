"""Piecewise-linear encoding against numpy's interpolation; which columns get bins; digits of numbers far from zero."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.model import piecewise
from training.model.piecewise import Piecewise


def encoded(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The bins of one column of ``values`` (rows,): each rises from 0 to 1 between its two edges."""
    return np.stack([np.interp(values, pair, [0, 1]) for pair in itertools.pairwise(edges)], axis=1)


def test_bins_equal_numpys_interpolation() -> None:
    random = np.random.default_rng(0)
    values = np.stack([random.normal(5, 2, 400), random.lognormal(0, 3, 400), random.uniform(-1, 1, 400)], axis=1)
    edges = [piecewise.edges(values[:, 0], 8), np.empty(0), piecewise.edges(values[:, 2], 5)]
    layer = Piecewise(torch.tensor(values.mean(axis=0)), 1 / torch.tensor(values.std(axis=0)), edges)
    new = np.concatenate([values, 3 * values[:50], -values[:50]])
    standardised = (new - values.mean(axis=0)) / values.std(axis=0)
    expected = np.concatenate([standardised, encoded(new[:, 0], edges[0]), encoded(new[:, 2], edges[2])], axis=1)
    found = layer(torch.from_numpy(new.astype(np.float32))).numpy()
    assert found.shape == (500, 3 + 8 + 5) == (500, layer.width)
    assert found == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_edges_are_quantiles_of_the_values_that_are_known() -> None:
    values = np.concatenate([np.arange(1001) / 10, np.full(500, np.nan)])
    assert piecewise.edges(values, 4).tolist() == [0, 25, 50, 75, 100]


def test_equal_edges_are_merged() -> None:
    values = np.concatenate([np.zeros(600), np.linspace(0.5, 1, 400)])
    found = piecewise.edges(values, 5)
    assert len(found) == 4
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1000) % 2 / 4,
        np.r_[np.zeros(999), 0.5],
        np.arange(1000) % 16,
        np.full(10, np.nan),
        np.empty(0),
    ],
    ids=["two values", "nearly constant", "few integers", "no value", "no row"],
)
def test_no_bins_where_they_would_not_help(values: NDArray[np.float64]) -> None:
    assert len(piecewise.edges(values.astype(np.float64), 8)) == 0


def test_many_integers_and_few_fractions_have_bins() -> None:
    assert len(piecewise.edges(np.arange(1000.0) % 40, 8)) == 9
    assert len(piecewise.edges(np.arange(1000) % 10 / 4, 8)) == 9


def test_a_sample_has_nearly_the_quantiles_of_all_rows() -> None:
    values = np.random.default_rng(1).uniform(0, 1, 500_000)
    assert piecewise.edges(values, 8) == pytest.approx(np.linspace(0, 1, 9), abs=0.005)


def test_neighbouring_numbers_far_from_zero_keep_their_digits() -> None:
    """A bin of one year around 2e6 is 2**-17 of it: products with the number itself would lose all but 7 bits."""
    edges = np.array([1_999_999.0, 2_000_000.0, 2_000_001.0])
    layer = Piecewise(torch.tensor([2e6]), torch.tensor([1.0]), [edges])
    values = np.array([[1_999_999.125], [1_999_999.875], [2_000_000.25]], np.float32)
    assert layer(torch.from_numpy(values)).tolist() == [[-0.875, 0.125, 0], [-0.125, 0.875, 0], [0.25, 1, 0.25]]


def test_edges_that_float32_cannot_tell_apart_make_no_bin() -> None:
    edges = np.array([1e9, 1e9 + 1, 1e9 + 2, 2e9])
    layer = Piecewise(torch.tensor([0.0]), torch.tensor([1.0]), [edges])
    assert layer.bins == 1
    tiny = Piecewise(torch.tensor([0.0]), torch.tensor([1.0]), [np.array([0, 1e-41, 1.0])])
    assert bool(tiny(torch.tensor([[0.0], [1e-41]])).isfinite().all())
