"""Piecewise-linear encoding of numbers: each becomes its standard score and how far it is through each of its bins.

A network fits steps and bends along one feature far more easily from such inputs than from the number alone:
https://arxiv.org/abs/2203.05556 (Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_MIN_EDGES: Final = 3  # with two there is one bin, which is the number itself, clipped
_SAMPLE_ROWS: Final = 200_000  # their quantiles are those of all rows within 0.3 %
# The answer seldom bends along a scale of few integers, such as marks, and bins invite overfitting there.
_FEW_INTEGERS: Final = 16

_TINY: Final = float(np.finfo(np.float32).tiny)


def edges(values: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """The edges of up to ``bins`` bins of about as many of ``values`` (rows,) each, ascending; NaN is a missing value.

    None, an empty array, for values with fewer than 3 distinct edges, and for integers with few different values.
    """
    known = values[~np.isnan(values)]
    if len(known) > _SAMPLE_ROWS:
        known = np.random.default_rng(0).choice(known, _SAMPLE_ROWS, replace=False)
    if not bins or not len(known) or _few_integers(known):
        return np.empty(0)
    quantiles = np.quantile(known.astype(np.float64), np.linspace(0, 1, bins + 1), method="inverted_cdf")
    found: NDArray[np.float64] = np.unique(quantiles)
    return found if len(found) >= _MIN_EDGES else np.empty(0)


def _few_integers(known: NDArray[Any]) -> bool:
    return bool((known == np.rint(known)).all()) and len(np.unique(known)) <= _FEW_INTEGERS


class Piecewise(nn.Module):
    """Standardise columns and add the bins of each: nothing in it is learned.

    ``offset`` and ``scale`` float64 (columns,) standardise; ``edges`` has the edges of the bins of the first columns,
    an empty array for none. All are in the units of the columns: a bin keeps the digits of numbers far from zero, such
    as years, since a number close to its edge is subtracted from it exactly.
    """

    index: Tensor
    offset: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, offset: Tensor, scale: Tensor, edges: Sequence[NDArray[np.float64]]) -> None:
        super().__init__()
        columns = len(offset)
        bins = [(index, low, high) for index, each in enumerate(edges) for low, high in _finite_bins(each)]
        self.register_buffer("index", torch.tensor([*range(columns), *(index for index, _, _ in bins)]))
        lows = torch.tensor([low for _, low, _ in bins], dtype=torch.float64)
        slopes = torch.tensor([1 / (high - low) for _, low, high in bins], dtype=torch.float64)
        self.register_buffer("offset", torch.cat([offset.double(), lows]).float())
        self.register_buffer("scale", torch.cat([scale.double(), slopes]).float())
        unbounded = torch.full((columns,), math.inf)
        self.register_buffer("low", torch.cat([-unbounded, torch.zeros(len(bins))]))
        self.register_buffer("high", torch.cat([unbounded, torch.ones(len(bins))]))
        self.width = columns + len(bins)
        self.bins = len(bins)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 (rows, width): standard scores of the columns of ``values``, then their bins, clipped to 0 and 1."""
        if not self.bins:
            return (values - self.offset) * self.scale
        scaled = (values.index_select(1, self.index) - self.offset) * self.scale
        return torch.minimum(torch.maximum(scaled, self.low), self.high)


def _finite_bins(edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Pairs of neighbouring edges, rounded to float32 as the values are, whose distance float32 can divide by."""
    rounded = np.unique(edges.astype(np.float32)).astype(np.float64).tolist()
    return [(low, high) for low, high in pairwise(rounded) if high - low > _TINY]
