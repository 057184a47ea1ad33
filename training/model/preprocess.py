"""Turn raw rows into network inputs: impute and flag missing values, one-hot encode categories, standardise numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column
from training.model import calendar
from training.model.calendar import Calendar


class Preprocess(nn.Module):
    """`encode`, then scale; both are part of the exported graph, where the scaling is folded into the first layer.

    An encoded row float32 (width,) has, in this order: the numeric features in their own units, with missing values
    replaced by the mean of the training rows; for each feature that may be missing, 1 if it is; for each category of
    each categorical feature, 1 if the row has it. ``offset`` and ``scale`` float32 (width,) standardise the numeric
    part: preprocessed = (encoded - offset) * scale.

    If ``offset`` and ``scale`` are given in float64, raw rows are float64 and numbers are standardised in float64 by
    `encode`, before they are rounded to float32: the distance of a large number from the mean keeps digits that the
    number itself would lose.

    With a ``dates`` stage, `encode` first replaces datetimes by numbers; ``columns`` are those it returns.
    """

    offset: Tensor
    scale: Tensor
    fill: Tensor
    _numeric: Tensor
    _flagged: Tensor
    _one_hot: Tensor
    _codes: Tensor
    _mean: Tensor
    _inverse_std: Tensor

    def __init__(self, columns: Sequence[Column], offset: Tensor, scale: Tensor, dates: Calendar | None = None) -> None:
        super().__init__()
        self._dates = dates
        numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
        flagged = [index for index, column in enumerate(columns) if column.missing]
        one_hot = [(index, code) for index, column in enumerate(columns) for code in range(column.codes)]
        self.register_buffer("_numeric", torch.tensor(numeric, dtype=torch.int64))
        self.register_buffer("_flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("_one_hot", torch.tensor([index for index, _ in one_hot], dtype=torch.int64))
        self.register_buffer("_codes", torch.tensor([float(code) for _, code in one_hot]))
        self.width = len(numeric) + len(flagged) + len(one_hot)
        self._reorders = bool(flagged or one_hot)  # else an encoded row has the raw features in the same order
        self._in_float64 = offset.dtype == torch.float64
        if self._in_float64:
            self.register_buffer("_mean", offset)
            self.register_buffer("_inverse_std", scale)
            offset, scale = torch.zeros(len(numeric)), torch.ones(len(numeric))
        rest = self.width - len(numeric)
        self.register_buffer("fill", offset.clone())
        self.register_buffer("offset", torch.cat([offset, torch.zeros(rest)]))
        self.register_buffer("scale", torch.cat([scale, torch.ones(rest)]))

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
        if self._dates is not None:
            inputs = self._dates(inputs)
        if not self._reorders:
            return self._standardise_float64(inputs)
        dtype = self.offset.dtype
        # The exporter turns index_select into one node, indexing by brackets into three.
        numeric = self._standardise_float64(inputs.index_select(1, self._numeric))
        parts = [torch.where(numeric.isnan(), self.fill, numeric)]
        if len(self._flagged):
            parts.append(inputs.index_select(1, self._flagged).isnan().to(dtype))
        if len(self._one_hot):
            parts.append((inputs.index_select(1, self._one_hot).to(dtype) == self._codes).to(dtype))
        return torch.cat(parts, dim=1)

    def _standardise_float64(self, numeric: Tensor) -> Tensor:
        """Standardise float64 numbers and round them to float32; leave float32 numbers as they are."""
        if not self._in_float64:
            return numeric
        return ((numeric - self._mean) * self._inverse_std).to(self.offset.dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """Preprocessed rows float32 (rows, width) of raw ``inputs`` (rows, features)."""
        return (self.encode(inputs) - self.offset) * self.scale


def fitted(columns: Sequence[Column], inputs: NDArray[Any], *, together: bool) -> Preprocess:
    """Preprocessing with offset and scale from the training rows ``inputs`` (rows, features); NaN is a missing value.

    Each numeric feature has its own mean and standard deviation. With ``together`` all share one, as pixels should: a
    pixel that is nearly always black would be scaled up too far. A constant feature keeps scale 1, a feature without
    any value gets mean 0. If ``inputs`` are float64, so are raw rows.
    """
    dates = calendar.fitted(columns, inputs)
    if dates is not None:
        columns, inputs = dates.columns, dates(torch.from_numpy(inputs)).numpy()
    numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
    values, axis = inputs[:, numeric], None if together else 0
    start, dtype = np.zeros(len(numeric)), torch.float32
    if inputs.dtype == np.float64:  # sums of large numbers are rounded; sums of distances from the minimum are not
        start, dtype = np.nan_to_num(np.fmin.reduce(values, axis=0)), torch.float64
        values = values - start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of a feature without any value
        mean = start + np.nan_to_num(np.broadcast_to(np.nanmean(values, axis=axis, dtype=np.float64), len(numeric)))
        deviation = np.broadcast_to(np.nanstd(values, axis=axis, dtype=np.float64), len(numeric))
    scale = 1 / np.where(deviation > 0, deviation, 1.0)
    return Preprocess(columns, torch.tensor(mean, dtype=dtype), torch.tensor(scale, dtype=dtype), dates)
