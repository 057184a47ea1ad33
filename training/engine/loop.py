"""The training loop: rows in memory, one gather a batch, a gradient, a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.engine import subnormal
from training.engine.gradient import Gradient


class Inputs(Protocol):
    """Rows to gather from: a tensor, or a sparse matrix that gives its rows as one."""

    @property
    def device(self) -> torch.device:
        """Where the rows that are gathered lie."""
        ...

    def __len__(self) -> int: ...

    def index_select(self, dim: int, index: Tensor, /) -> Tensor:
        """The rows (``dim`` is 0) that ``index`` int64 (rows,) names, as a float tensor (rows, width)."""
        ...


class Rows(NamedTuple):
    """Prepared ``inputs`` float (rows, width), their ``targets`` and weights, on the device they are trained on.

    ``exact_targets`` are numbers as they were given, for scores: those trained on may be rounded.
    """

    inputs: Inputs
    targets: Tensor
    weights: Tensor | None = None
    exact_targets: NDArray[np.float64] | None = None

    def take(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs, targets and weights of the rows that ``index`` names."""
        weights = None if self.weights is None else self.weights.index_select(0, index)
        return self.inputs.index_select(0, index), self.targets.index_select(0, index), weights


@subnormal.flushed()
def run(
    rows: Rows,
    gradient: Gradient,
    step: Callable[[], None],
    *,
    passes: Iterable[Iterable[Tensor]],
    change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ended: Callable[[int, float], bool],
) -> None:
    """For each batch of each pass take the ``gradient``, then a ``step``; until ``ended`` says so.

    A pass has the row numbers of each of its batches. ``change`` makes the inputs of a batch a little different,
    and the targets where they depend on it; ``ended`` is told of each epoch's number, from 1 on, and mean loss.
    """
    for number, batches in enumerate(passes, 1):
        losses, sizes = [], []
        for batch in batches:
            inputs, targets, weights = rows.take(batch)
            if change is not None:
                inputs, targets = change(inputs, targets)
            losses.append(gradient(inputs, targets, weights))
            sizes.append(len(batch))
            step()
        found = torch.stack(losses).tolist()  # a device is asked but once
        if ended(number, sum(map(float.__mul__, found, map(float, sizes))) / sum(sizes)):
            break
