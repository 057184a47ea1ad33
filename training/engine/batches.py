"""Where the batches of an epoch come from: rows in memory here, or any other source with the same interface."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import torch

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
    """Batches of ``rows`` that are in memory; with a ``shard``, of every `count`-th row from `index` on."""

    def __init__(self, rows: Rows, shard: Shard = WHOLE) -> None:
        self._rows = rows
        self._shard = shard
        self.rows = len(range(shard[0], len(rows.inputs), shard[1]))
        self.device = rows.inputs.device

    def epoch(self, number: int, count: int) -> Generator[Batch, None, None]:  # noqa: ARG002 - the global generator orders the rows
        """Yield the rows in ``count`` batches, in an order drawn from torch's global generator."""
        index, workers = self._shard
        order = torch.randperm(self.rows, device=self.device)
        if workers > 1:
            order = order * workers + index
        yield from map(self._rows.take, order.tensor_split(count))
