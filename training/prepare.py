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
    """

    offset: Tensor
    scale: Tensor
    fill: Tensor
    _numeric: Tensor
    _flagged: Tensor
    _spread: Tensor
    _codes: Tensor

    def __init__(self, columns: Sequence[Column], offset: Tensor, scale: Tensor) -> None:
        super().__init__()
        numeric = [index for index, column in enumerate(columns) if column.kind != "categorical"]
        flagged = [index for index, column in enumerate(columns) if column.missing]
        spread = [(index, code) for index, column in enumerate(columns) for code in range(column.codes)]
        self.register_buffer("_numeric", torch.tensor(numeric, dtype=torch.int64))
        self.register_buffer("_flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("_spread", torch.tensor([index for index, _ in spread], dtype=torch.int64))
        self.register_buffer("_codes", torch.tensor([float(code) for _, code in spread]))
        self.width = len(numeric) + len(flagged) + len(spread)
        self.encodes = bool(flagged or spread)  # else an encoded row is the raw one
        rest = self.width - len(numeric)
        self.register_buffer("fill", offset.clone())
        self.register_buffer("offset", torch.cat([offset, torch.zeros(rest)]))
        self.register_buffer("scale", torch.cat([scale, torch.ones(rest)]))

    def encode(self, inputs: Tensor) -> Tensor:
        """Encoded rows float32 (rows, width) of raw ``inputs`` (rows, features); NaN is a missing value."""
        if not self.encodes:
            return inputs
        # Of index_select the exporter makes one step, of an index in brackets three.
        numeric = inputs.index_select(1, self._numeric)
        parts = [torch.where(numeric.isnan(), self.fill, numeric)]
        if len(self._flagged):
            parts.append(inputs.index_select(1, self._flagged).isnan().to(inputs.dtype))
        if len(self._spread):
            parts.append((inputs.index_select(1, self._spread) == self._codes).to(inputs.dtype))
        return torch.cat(parts, dim=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Prepared rows float32 (rows, width) of raw ``inputs``."""
        return (self.encode(inputs) - self.offset) * self.scale


def fitted(columns: Sequence[Column], inputs: NDArray[Any], *, together: bool) -> Prepare:
    """Offset and scale from the training rows ``inputs`` (rows, features), NaN where a value is missing.

    Each numeric feature has a mean and a standard deviation of its own; pixels are measured ``together``, since the few
    that are nearly always black would be blown up otherwise. A constant feature keeps scale 1, one that no
    row has keeps mean 0.
    """
    numeric = [index for index, column in enumerate(columns) if column.kind != "categorical"]
    values, axis = inputs[:, numeric], None if together else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a feature that no training row has
        mean = np.nan_to_num(np.broadcast_to(np.nanmean(values, axis=axis, dtype=np.float64), len(numeric)))
        deviation = np.broadcast_to(np.nanstd(values, axis=axis, dtype=np.float64), len(numeric))
    scale = 1 / np.where(deviation > 0, deviation, 1.0)
    return Prepare(columns, torch.tensor(mean, dtype=torch.float32), torch.tensor(scale, dtype=torch.float32))
