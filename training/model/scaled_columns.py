"""Turn raw rows into the inputs of a network whose first layer was folded with a scikit-learn pipeline's steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.data.dataset import Column
from training.model.preprocess import Preprocess


class ScaledColumns(Preprocess):
    """Standardise numbers, flag missing values, one-hot encode categories.

    An encoded row float32 (width,) has, in this order: (number - mean) * scale for each column of numbers, 0 where it
    is missing; for each column that may be missing, 1 if it is; for each category of each categorical column, 1 if the
    row has it. ``mean`` and ``scale`` are (numeric columns,), in the dtype of raw rows.
    """

    mean: Tensor
    inverse_std: Tensor
    _numeric: Tensor
    _flagged: Tensor
    _one_hot: Tensor
    _codes: Tensor

    def __init__(self, columns: Sequence[Column], mean: Tensor, scale: Tensor) -> None:
        super().__init__((), torch.zeros(0), torch.ones(0))
        numeric = [index for index, column in enumerate(columns) if column.type != "categorical"]
        flagged = [index for index, column in enumerate(columns) if column.missing]
        one_hot = [(index, code) for index, column in enumerate(columns) for code in range(column.codes)]
        self.register_buffer("mean", mean)
        self.register_buffer("inverse_std", scale)
        self.register_buffer("_numeric", torch.tensor(numeric, dtype=torch.int64))
        self.register_buffer("_flagged", torch.tensor(flagged, dtype=torch.int64))
        self.register_buffer("_one_hot", torch.tensor([index for index, _ in one_hot], dtype=torch.int64))
        self.register_buffer("_codes", torch.tensor([float(code) for _, code in one_hot]))
        self.width = len(numeric) + len(flagged) + len(one_hot)
        self.offset, self.scale = torch.zeros(self.width), torch.ones(self.width)

    @property
    def input_dtype(self) -> torch.dtype:
        """The dtype of raw rows."""
        return self.mean.dtype

    def encode(self, inputs: Tensor) -> Tensor:
        """Encoded rows float32 (rows, width) of raw ``inputs`` (rows, columns), in which NaN is a missing value."""
        parts = []
        if len(self._numeric):
            numbers = ((inputs.index_select(1, self._numeric) - self.mean) * self.inverse_std).float()
            parts.append(torch.where(numbers.isnan(), 0.0, numbers) if len(self._flagged) else numbers)
        if len(self._flagged):
            parts.append(inputs.index_select(1, self._flagged).isnan().float())
        if len(self._one_hot):
            parts.append((inputs.index_select(1, self._one_hot).float() == self._codes).float())
        return torch.cat(parts, dim=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encoded rows, which need no further scaling."""
        return self.encode(inputs)
