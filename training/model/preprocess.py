"""Turn raw rows into network inputs: impute and flag missing values, number categories, standardise numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column


class Preprocess(nn.Module):
    """`encode`, then scale; both are part of the exported graph, where the scaling is folded into the first layer.

    An encoded row float32 (width,) has, in this order: the numeric features in their own units, with missing values
    replaced by ``fill`` float32 (numeric features,), by default ``offset``; for each feature that may be missing, 1 if
    it is; for each categorical feature its code, or, if it is missing, the number of its codes. ``offset`` and
    ``scale`` float32 (numeric features,) standardise: preprocessed = (encoded - offset) * scale. A table's numbers are
    standardised by `Features` instead, so its offset is 0 and its scale 1.

    If ``offset`` and ``scale`` are given in float64, raw rows are float64 and numbers are standardised in float64 by
    `encode`, before they are rounded to float32: the distance of a large number from the mean keeps digits that the
    number itself would lose.
    """

    offset: Tensor
    scale: Tensor
    fill: Tensor
    _numeric: Tensor
    _flagged: Tensor
    _categorical: Tensor
    _counts: Tensor
    _mean: Tensor
    _inverse_std: Tensor

    def __init__(self, columns: Sequence[Column], offset: Tensor, scale: Tensor, *, fill: Tensor | None = None) -> None:
        super().__init__()
        numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
        flagged = [index for index, column in enumerate(columns) if column.missing]
        categorical = [index for index, column in enumerate(columns) if column.type == "categorical"]
        self.register_buffer("_numeric", torch.tensor(numeric, dtype=torch.int64))
        self.register_buffer("_flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("_categorical", torch.tensor(categorical, dtype=torch.int64))
        self.register_buffer("_counts", torch.tensor([float(columns[index].codes) for index in categorical]))
        self.width = len(numeric) + len(flagged) + len(categorical)
        self._reorders = bool(flagged or categorical)  # else an encoded row has the raw features in the same order
        self._in_float64 = offset.dtype == torch.float64
        if self._in_float64:
            self.register_buffer("_mean", offset)
            self.register_buffer("_inverse_std", scale)
            offset, scale = torch.zeros(len(numeric)), torch.ones(len(numeric))
        rest = self.width - len(numeric)
        self.register_buffer("fill", offset.clone() if fill is None else fill)
        self.register_buffer("offset", torch.cat([offset, torch.zeros(rest)]))
        self.register_buffer("scale", torch.cat([scale, torch.ones(rest)]))
        self._scales = bool((self.offset != 0).any() or (self.scale != 1).any())

    @property
    def input_dtype(self) -> torch.dtype:
        """The dtype of raw rows."""
        return self._mean.dtype if self._in_float64 else self.offset.dtype

    @property
    def float64_scaling(self) -> tuple[Tensor, Tensor]:
        """Mean and 1 / standard deviation float64 (numeric features,), if raw rows are float64."""
        return self._mean, self._inverse_std

    def encode(self, inputs: Tensor) -> Tensor:
        """Encoded rows float32 (rows, width) of raw ``inputs`` (rows, features), in which NaN is a missing value."""
        if not self._reorders:
            return self._standardise_float64(inputs)
        dtype = self.offset.dtype
        # The exporter turns index_select into one node, indexing by brackets into three.
        numeric = self._standardise_float64(inputs.index_select(1, self._numeric))
        parts = [torch.where(numeric.isnan(), self.fill, numeric)]
        if len(self._flagged):
            parts.append(inputs.index_select(1, self._flagged).isnan().to(dtype))
        if len(self._categorical):
            codes = inputs.index_select(1, self._categorical).to(dtype)
            parts.append(torch.where(codes.isnan(), self._counts, codes))
        return torch.cat(parts, dim=1)

    def _standardise_float64(self, numeric: Tensor) -> Tensor:
        """Standardise float64 numbers and round them to float32; leave float32 numbers as they are."""
        if not self._in_float64:
            return numeric
        return ((numeric - self._mean) * self._inverse_std).to(self.offset.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Preprocessed rows float32 (rows, width) of raw ``inputs`` (rows, features)."""
        encoded = self.encode(inputs)
        return (encoded - self.offset) * self.scale if self._scales else encoded


def fitted(columns: Sequence[Column], inputs: NDArray[Any], *, together: bool) -> Preprocess:
    """Preprocessing with offset and scale from the training rows ``inputs`` (rows, features); NaN is a missing value.

    Each numeric feature has its own mean and standard deviation. With ``together`` all share one, as pixels should: a
    pixel that is nearly always black would be scaled up too far. A constant feature keeps scale 1, a feature without
    any value gets mean 0. If ``inputs`` are float64, so are raw rows.
    """
    numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
    parts = [inputs[:, numeric]] if together else [inputs[:, index] for index in numeric]
    found = [statistics(values) for values in parts] * (len(numeric) if together else 1)
    scaling = torch.tensor(found, dtype=torch.float64).view(-1, 2)
    dtype = torch.float64 if inputs.dtype == np.float64 else torch.float32
    return Preprocess(columns, scaling[:, 0].to(dtype), scaling[:, 1].to(dtype))


def statistics(values: NDArray[Any]) -> tuple[float, float]:
    """Mean and 1 / standard deviation of ``values``, NaN being a missing value; 0 and 1 where there are none."""
    known = values if values.dtype == np.uint8 else values[~np.isnan(values)].astype(np.float64)
    if not known.size:
        return 0.0, 1.0
    # Sums of large numbers are rounded; sums of distances from the minimum are not.
    start = 0.0 if values.dtype == np.uint8 else float(known.min())
    distances = known - start if start else known
    mean, deviation = float(distances.mean(dtype=np.float64)), float(distances.std(dtype=np.float64))
    return start + mean, 1 / deviation if deviation > 0 else 1.0
