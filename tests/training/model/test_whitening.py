"""Whitened rows against scikit-learn's PCA, and rows without variance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor

from training.model import whitening


def digits() -> Tensor:
    """Images in which three pixels are always black."""
    return torch.from_numpy(load_digits().data.astype(np.float32))


@pytest.mark.parametrize("floor", [1e-3, 0.03, 1.0])
def test_the_variance_along_each_direction_follows_from_the_floor(floor: float) -> None:
    rows = digits()
    white = whitening.fitted(rows, floor)(rows)
    decomposed = PCA().fit(rows.double().numpy())
    before = decomposed.explained_variance_
    along = (white.double().numpy() @ decomposed.components_.T).var(axis=0)
    expected = before / (before + floor * before[0])
    expected *= before.sum() / expected.sum()
    assert along == pytest.approx(expected * (1 - 1 / len(rows)), rel=1e-3, abs=1e-4)


def test_the_total_variance_and_constant_features_are_unchanged() -> None:
    rows = digits()
    white = whitening.fitted(rows, 0.03)(rows)
    assert white.var(dim=0).sum().item() == pytest.approx(rows.var(dim=0).sum().item(), rel=1e-4)
    assert white[:, 0].abs().max() < 1e-4


@pytest.mark.parametrize("rows", [torch.full((5, 3), 2.0), torch.ones(1, 4)])
def test_identical_rows_are_unchanged(rows: Tensor) -> None:
    assert torch.equal(whitening.fitted(rows, 0.03)(rows), rows)


def test_a_single_feature_is_unchanged() -> None:
    rows = torch.tensor([[1.0], [2.0], [4.0]])
    assert whitening.fitted(rows, 0.5)(rows).numpy() == pytest.approx(rows.numpy())
