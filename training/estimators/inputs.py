"""Rows as torch takes them: numpy arrays without a copy, sparse matrices one batch at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from training.engine.loop import Inputs

_CHUNK_ROWS: Final = 8192


class SparseRows:
    """Gathers rows of ``matrix``, a scipy CSR matrix (rows, features), as dense tensors.

    The whole matrix is never dense: it might not fit into memory.
    """

    def __init__(self, matrix: Any, dtype: torch.dtype, device: torch.device) -> None:
        self._matrix = matrix
        self._dtype = dtype
        self.device = device

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    def index_select(self, _dim: int, index: Tensor) -> Tensor:
        """Rows at ``index`` int64 (rows,), dense (rows, features)."""
        return torch.from_numpy(self._matrix[index.cpu().numpy()].toarray()).to(self.device, self._dtype)


def to_inputs(X: Any, body: nn.Module) -> Inputs:
    """Bring ``X`` (rows, features), dense or sparse, to the dtype and device of the parameters of ``body``."""
    like = next(body.parameters())
    if sparse.issparse(X):
        return SparseRows(X.tocsr(), like.dtype, like.device)
    # Torch shares memory with numpy, but not memory that is read-only or in the other byte order.
    shareable = X.flags.writeable and X.dtype.isnative
    return torch.from_numpy(X if shareable else np.array(X, X.dtype.newbyteorder("="))).to(like.device, like.dtype)


@torch.no_grad()
def forward(body: nn.Sequential, inputs: Inputs) -> Tensor:
    """Outputs (rows, outputs) of ``body`` in evaluation mode, before the output activation."""
    if body.training:
        body.eval()
    if len(inputs) <= _CHUNK_ROWS and isinstance(inputs, Tensor):
        outputs: Tensor = body(inputs)
        return outputs
    index = torch.arange(len(inputs), device=inputs.device)
    return torch.cat([body(inputs.index_select(0, chunk)) for chunk in torch.split(index, _CHUNK_ROWS)])
