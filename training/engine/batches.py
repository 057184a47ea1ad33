"""Where the batches of an epoch come from: rows in memory here, or any other source with the same interface."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import torch
from torch import Tensor

from training.engine.loop import Batch, Rows

Shard = tuple[int, int]
"""The index of a worker and the number of workers; each trains on its own rows."""
WHOLE: Shard = (0, 1)


class BatchSource(Protocol):
    """The training rows of one worker, in new order and new batches for each epoch."""

    @property
    def rows(self) -> int:
        """The rows of an epoch."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the batches."""
        ...

    def epoch(self, number: int, count: int) -> Generator[Batch, None, None]:
        """Yield all rows once, in ``count`` batches of equal size, give or take one row.

        ``number`` is that of the epoch, from 1 on. All workers ask for the same ``count``, so that none waits for
        another one's last batch. Closing the generator ends what reads ahead.
        """
        ...


class InMemoryBatches:
    """Batches of ``rows`` that are in memory."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.rows = len(rows.inputs)
        self.device = rows.inputs.device

    def epoch(self, number: int, count: int) -> Generator[Batch, None, None]:  # noqa: ARG002 - the global generator orders the rows
        """Yield the rows in ``count`` batches, in an order drawn from torch's global generator."""
        yield from map(self._rows.take, torch.randperm(self.rows, device=self.device).tensor_split(count))


class SlicedBatches:
    """A worker's slices of the batches of ``rows``, which all workers have in memory.

    All workers draw the same order of rows, from a generator that starts as torch's global one. On CPUs the batches are
    those that one process would have, if it draws nothing else, such as the units to drop.
    """

    def __init__(self, rows: Rows, shard: Shard) -> None:
        self._rows = rows
        self._shard = shard
        self._ordering = torch.Generator()
        self._ordering.set_state(torch.get_rng_state())
        self._drawn = 0
        self.rows = len(range(shard[0], len(rows.inputs), shard[1]))
        self.device = rows.inputs.device

    def epoch(self, number: int, count: int) -> Generator[Batch, None, None]:
        """Yield a slice of each of ``count`` batches. Epochs are asked for in ascending order."""
        order = self._order(number)
        index, workers = self._shard
        for batch in order.tensor_split(count):
            yield self._rows.take(batch[index::workers].to(self.device))

    def _order(self, number: int) -> Tensor:
        """The order of epoch ``number``; those before it are drawn and left out if training goes on from a state."""
        order = torch.empty(0)
        while self._drawn < number:
            order = torch.randperm(len(self._rows.inputs), generator=self._ordering)
            self._drawn += 1
        return order
