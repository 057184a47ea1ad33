"""Rows of a sparse matrix, made dense a batch at a time: never all at once, which may not fit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SparseRows:
    """Gives rows of ``matrix``, a scipy CSR matrix (rows, width), as tensors of ``dtype`` on ``device``."""

    def __init__(self, matrix: Any, dtype: torch.dtype, device: torch.device) -> None:
        self._matrix = matrix
        self._dtype = dtype
        self.device = device

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    def index_select(self, _dim: int, index: Tensor) -> Tensor:
        """The rows that ``index`` int64 (rows,) names, dense (rows, width)."""
        return torch.from_numpy(self._matrix[index.cpu().numpy()].toarray()).to(self.device, self._dtype)
