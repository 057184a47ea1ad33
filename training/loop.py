"""The training loop: rows in memory, one gather a batch, a gradient, a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from training.gradient import Gradient


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
    """Prepared ``inputs`` float (rows, width), their ``targets`` and weights, on the device they are trained on."""

    inputs: Inputs
    targets: Tensor
    weights: Tensor | None = None

    def take(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Inputs, targets and weights of the rows that ``index`` names."""
        weights = None if self.weights is None else self.weights.index_select(0, index)
        return self.inputs.index_select(0, index), self.targets.index_select(0, index), weights


def run(
    body: nn.Module,
    rows: Rows,
    gradient: Gradient,
    optimizer: torch.optim.Optimizer,
    *,
    passes: Iterable[Iterable[Tensor]],
    before_step: Callable[[], None] | None = None,
    change: Callable[[Tensor], Tensor] | None = None,
    ended: Callable[[int, float], bool],
) -> None:
    """Train ``body`` in place for all ``passes`` over the rows, or until ``ended`` says so.

    A pass has the row numbers of each of its batches; ``before_step`` may set the learning rate; ``change`` makes the
    inputs of a batch a little different; ``ended`` is told of each epoch's number, from 1 on, and mean loss.
    """
    for number, batches in enumerate(passes, 1):
        body.train()
        total: Tensor | float = 0.0
        for batch in batches:
            inputs, targets, weights = rows.take(batch)
            if change is not None:
                inputs = change(inputs)
            loss = gradient(inputs, targets, weights)
            if before_step is not None:
                before_step()
            optimizer.step()
            total = total + loss * len(batch)
        body.eval()
        if ended(number, float(total) / len(rows.inputs)):
            break
