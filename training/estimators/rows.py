"""Rows, dense or sparse: bring them to torch, weigh them, split off validation rows, run the network on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array
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


@contextmanager
def other_types(X: Any) -> Iterator[None]:
    """Say in an error on texts, categories or missing values in ``X`` which estimators take them."""
    try:
        yield
    except ValueError as error:
        kinds = {getattr(each, "kind", "") for each in getattr(X, "dtypes", [np.asarray(X).dtype])}
        missing = "X contains NaN" in str(error)
        if not missing and not ("could not convert" in str(error) and kinds & set("OUS")):
            raise
        remedy = "TableClassifier, TableRegressor and train_table take texts, categories and missing values as they are"
        raise ValueError(f"{error}\n{remedy}") from error


def to_inputs(X: Any, body: nn.Module) -> Inputs:
    """Bring ``X`` (rows, features), dense or sparse, to the dtype and device of the parameters of ``body``."""
    like = next(body.parameters())
    if sparse.issparse(X):
        return SparseRows(X.tocsr(), like.dtype, like.device)
    # Torch shares memory with numpy, but not memory that is read-only or in the other byte order.
    shareable = X.flags.writeable and X.dtype.isnative
    return torch.from_numpy(X if shareable else np.array(X, X.dtype.newbyteorder("="))).to(like.device, like.dtype)


def row_weights(X: Any, sample_weight: Any, class_weights: NDArray[Any] | None) -> NDArray[Any] | None:
    """Weight of each row of ``X`` (rows,): ``sample_weight`` times ``class_weights``. None if all weigh the same."""
    if sample_weight is None:
        return class_weights
    weights = checked_weights(sample_weight, X.shape[0], X.dtype)
    return weights if class_weights is None else weights * class_weights


def checked_weights(sample_weight: Any, rows: int, dtype: Any, *, non_negative: bool = False) -> NDArray[Any]:
    """``sample_weight`` as an array (``rows``,) of ``dtype``. Raises `ValueError`."""
    weights: NDArray[Any] = check_array(
        sample_weight, ensure_2d=False, dtype=dtype, input_name="sample_weight", ensure_non_negative=non_negative
    )
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight has shape {weights.shape}, expected ({rows},): one for each row")
    if not weights.any():
        raise ValueError("sample_weight is zero for all rows, expected at least one row that counts")
    return weights


def split(
    encoded: NDArray[Any], validation_fraction: float, random: np.random.RandomState
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of training and of validation rows, stratified if ``encoded`` (rows, outputs) has two classes."""
    two_classes = encoded.dtype == bool and encoded.shape[1] == 1
    train, validation = train_test_split(
        np.arange(len(encoded)),
        random_state=random,
        test_size=validation_fraction,
        stratify=encoded if two_classes else None,
    )
    if len(validation) < 2:
        raise ValueError(
            f"The validation set is too small: it has {len(validation)} of {len(encoded)} rows, and a score needs 2. "
            "Raise validation_fraction, or add rows."
        )
    return train, validation


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
