"""Raw rows become what the first layer takes: missing values filled and flagged, categories spread out, all scaled."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column


class Prepare(nn.Module):
    """``encode`` then scale; both are part of the exported graph, the scaling folded into the first layer's weights.

    An encoded row has the numeric features in their own unit, missing ones filled with the training rows' mean; then a
    1 for each feature that is missing where it may be; then a 1 for the category of each categorical feature.
    ``offset`` and ``scale`` float32 (width,) standardise what is numeric: prepared = (encoded - offset) * scale.

    Where ``offset`` and ``scale`` are given in float64, raw rows are taken in float64 and numbers are standardised in
    it: what is encoded is prepared, in float32. A number's distance from the mean keeps the digits that the number
    itself would lose.
    """

    offset: Tensor
    scale: Tensor
    fill: Tensor
    _numeric: Tensor
    _flagged: Tensor
    _spread: Tensor
    _codes: Tensor
    _mean: Tensor
    _per_deviation: Tensor

    def __init__(self, columns: Sequence[Column], offset: Tensor, scale: Tensor) -> None:
        super().__init__()
        numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
        flagged = [index for index, column in enumerate(columns) if column.missing]
        spread = [(index, code) for index, column in enumerate(columns) for code in range(column.codes)]
        self.register_buffer("_numeric", torch.tensor(numeric, dtype=torch.int64))
        self.register_buffer("_flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("_spread", torch.tensor([index for index, _ in spread], dtype=torch.int64))
        self.register_buffer("_codes", torch.tensor([float(code) for _, code in spread]))
        self.width = len(numeric) + len(flagged) + len(spread)
        self.encodes = bool(flagged or spread)  # else an encoded row is the raw one
        rest = self.width - len(numeric)
        self.exact = offset.dtype == torch.float64
        if self.exact:
            self.register_buffer("_mean", offset)
            self.register_buffer("_per_deviation", scale)
            offset, scale = torch.zeros(len(numeric)), torch.ones(len(numeric))
        self.register_buffer("fill", offset.clone())
        self.register_buffer("offset", torch.cat([offset, torch.zeros(rest)]))
        self.register_buffer("scale", torch.cat([scale, torch.ones(rest)]))

    @property
    def takes(self) -> torch.dtype:
        """The dtype of raw rows."""
        return self._mean.dtype if self.exact else self.offset.dtype

    @property
    def standard(self) -> tuple[Tensor, Tensor]:
        """Mean and 1 over the standard deviation float64 (numeric features,) of what is taken in float64."""
        return self._mean, self._per_deviation

    def encode(self, inputs: Tensor) -> Tensor:
        """Encoded rows float32 (rows, width) of raw ``inputs`` (rows, features); NaN is a missing value."""
        if not self.encodes:
            return self._standardised(inputs)
        dtype = self.offset.dtype
        # Of index_select the exporter makes one step, of an index in brackets three.
        numeric = self._standardised(inputs.index_select(1, self._numeric))
        parts = [torch.where(numeric.isnan(), self.fill, numeric)]
        if len(self._flagged):
            parts.append(inputs.index_select(1, self._flagged).isnan().to(dtype))
        if len(self._spread):
            parts.append((inputs.index_select(1, self._spread).to(dtype) == self._codes).to(dtype))
        return torch.cat(parts, dim=1)

    def _standardised(self, numeric: Tensor) -> Tensor:
        """Numbers as they are encoded: in their own unit, but for those taken in float64."""
        if not self.exact:
            return numeric
        return ((numeric - self._mean) * self._per_deviation).to(self.offset.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Prepared rows float32 (rows, width) of raw ``inputs``."""
        return (self.encode(inputs) - self.offset) * self.scale


def fitted(columns: Sequence[Column], inputs: NDArray[Any], *, together: bool) -> Prepare:
    """Offset and scale from the training rows ``inputs`` (rows, features), NaN where a value is missing.

    Each numeric feature has a mean and a standard deviation of its own; pixels are measured ``together``, since the few
    that are nearly always black would be blown up otherwise. A constant feature keeps scale 1, one that no
    row has keeps mean 0. Rows in float64 are prepared from float64.
    """
    numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
    values, axis = inputs[:, numeric], None if together else 0
    start, dtype = np.zeros(len(numeric)), torch.float32
    if inputs.dtype == np.float64:  # far from zero sums are rounded; those of distances from the least value are not
        start, dtype = np.nan_to_num(np.fmin.reduce(values, axis=0)), torch.float64
        values = values - start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a feature that no training row has
        mean = start + np.nan_to_num(np.broadcast_to(np.nanmean(values, axis=axis, dtype=np.float64), len(numeric)))
        deviation = np.broadcast_to(np.nanstd(values, axis=axis, dtype=np.float64), len(numeric))
    scale = 1 / np.where(deviation > 0, deviation, 1.0)
    return Prepare(columns, torch.tensor(mean, dtype=dtype), torch.tensor(scale, dtype=dtype))
