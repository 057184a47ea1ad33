"""The processes that train one network together, each on its part of every batch, and what they add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

State = dict[str, Any]
"""What training goes on from: tensors and numbers by name."""


class Workers(Protocol):
    """One of ``count`` workers, the one at ``index``. All workers have to make the same calls in the same order."""

    @property
    def index(self) -> int:
        """The index of this worker, from 0 on."""
        ...

    @property
    def count(self) -> int:
        """The number of workers."""
        ...

    def sum(self, values: Tensor) -> None:
        """Replace ``values``, of the same shape in all workers, by their sum over the workers."""
        ...

    def last_state(self) -> State | None:
        """The state that was kept last, if training was interrupted after that; None at the start."""
        ...

    def keep(self, state: Callable[[], State]) -> None:
        """Called after each epoch: keep the ``state``, if it is time to."""
        ...


class Alone:
    """The only worker."""

    index = 0
    count = 1

    def sum(self, values: Tensor) -> None:
        """Leave ``values`` as they are."""

    def last_state(self) -> None:
        """Nothing is kept."""

    def keep(self, state: Callable[[], State]) -> None:
        """Keep nothing."""


ALONE: Final = Alone()


def share_first(values: Tensor, workers: Workers) -> None:
    """Replace ``values`` in all workers by those of the first one."""
    if workers.index:
        values.zero_()
    workers.sum(values)


def seed_epoch(seed: int, epoch: int, workers: Workers) -> None:
    """Seed torch's global generator for an ``epoch``, otherwise in each worker, so that they drop different units.

    A lone worker goes on drawing from where it is.
    """
    if workers.count > 1:
        torch.manual_seed(int(np.random.default_rng((seed, epoch, workers.index)).integers(2**63)))


def rows_of_all(rows: int, workers: Workers, device: torch.device) -> list[int]:
    """The ``rows`` that each worker has."""
    found = torch.zeros(workers.count, dtype=torch.int64, device=device)
    found[workers.index] = rows
    workers.sum(found)
    return [int(each) for each in found]


def gathered(outputs_of: Callable[[slice], Tensor], rows: int, workers: Workers) -> Tensor:
    """The outputs (rows, outputs) of ``rows`` rows, of which each worker computes a part by ``outputs_of``."""
    part = slice(rows * workers.index // workers.count, rows * (workers.index + 1) // workers.count)
    own = outputs_of(part)
    if workers.count == 1:
        return own
    outputs = own.new_zeros(rows, *own.shape[1:])
    outputs[part] = own
    workers.sum(outputs)
    return outputs


def running_statistics(body: nn.Module) -> list[Tensor]:
    """The running means and variances of the batch norms of ``body``, which training changes in place."""
    norms = (layer for layer in body.modules() if isinstance(layer, nn.BatchNorm1d))
    return [each for norm in norms for each in (norm.running_mean, norm.running_var) if each is not None]


@torch.no_grad()
def average_over_workers(values: Sequence[Tensor], workers: Workers) -> None:
    """Replace ``values`` by their means over the workers."""
    if workers.count == 1:
        return
    for value in values:
        workers.sum(value)
        value.div_(workers.count)
