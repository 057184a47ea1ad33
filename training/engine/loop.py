"""One epoch of training: for each batch augment its rows, compute the gradient, take a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.engine.gradient import Gradient

# Inputs float (batch rows, width), their targets and weights, on the training device.
Batch = tuple[Tensor, Tensor, Tensor | None]
# Of (inputs, targets): changed copies of the inputs, and the targets that fit them.
Augmentation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Inputs(Protocol):
    """Rows to gather from: a tensor, or a sparse matrix whose rows are gathered as a dense tensor."""

    @property
    def device(self) -> torch.device:
        """The device of the gathered rows."""
        ...

    def __len__(self) -> int: ...

    def index_select(self, dim: int, index: Tensor, /) -> Tensor:
        """Rows (``dim`` is 0) at ``index`` int64 (rows,), as a float tensor (rows, width)."""
        ...


class Rows(NamedTuple):
    """Preprocessed ``inputs`` float (rows, width), their ``targets`` and weights, on the training device.

    ``exact_targets`` are the targets of a regression in float64, for scores: ``targets`` may be rounded.
    """

    inputs: Inputs
    targets: Tensor
    weights: Tensor | None = None
    exact_targets: NDArray[np.float64] | None = None

    def take(self, index: Tensor) -> Batch:
        """Inputs, targets and weights of the rows at ``index`` int64 (rows,)."""
        weights = None if self.weights is None else self.weights.index_select(0, index)
        return self.inputs.index_select(0, index), self.targets.index_select(0, index), weights


def train_epoch(
    batches: Iterable[Batch],
    gradient: Gradient,
    step: Callable[[], None],
    *,
    augment: Augmentation | None = None,
    on_step: Callable[[], None] | None = None,
) -> float:
    """Take a step for each batch; return the mean loss of the rows, each as it was before the step of its batch.

    ``on_step`` is called before each step and may end training by raising. Call this inside `subnormal.flushed`, or
    training may become many times slower.
    """
    losses, sizes = [], []
    for inputs, targets, weights in batches:
        seen, expected = (inputs, targets) if augment is None else augment(inputs, targets)
        losses.append(gradient(seen, expected, weights))
        if on_step is not None:
            on_step()
        step()
        sizes.append(len(inputs))
    values = torch.stack(losses).tolist()  # one copy from the device per epoch
    total: float = sum(loss * size for loss, size in zip(values, sizes, strict=True))
    return total / sum(sizes)
