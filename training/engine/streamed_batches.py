"""Batches of rows that are read from files in each epoch, shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final

import numpy as np
import torch

from training.data.streamed import Chunk, Streamed
from training.engine.batches import WHOLE, Shard
from training.engine.loop import Batch
from training.engine.read_ahead import read_ahead
from training.engine.shuffle_buffer import ShuffleBuffer

_AHEAD: Final = 4  # chunks that are decoded and prepared while a network trains on those before


class StreamedBatches:
    """Batches of ``streamed`` rows. ``prepare`` makes network inputs and targets, in the thread that reads.

    The order of an epoch depends on ``seed`` and the number of the epoch. Up to ``streamed.buffer_rows`` prepared rows
    are shuffled together, half of which are replaced at a time.
    """

    def __init__(
        self,
        streamed: Streamed,
        prepare: Callable[[Chunk], Batch],
        device: torch.device,
        seed: int,
        shard: Shard = WHOLE,
    ) -> None:
        self._streamed = streamed
        self._prepare = prepare
        self._seed = seed
        self._shard = shard
        self.rows = streamed.files.rows_of(shard)
        self.device = device

    def epoch(self, number: int, count: int) -> Generator[Batch, None, None]:
        """Yield all rows in ``count`` batches. Raises `DataError` if the files have changed."""
        random = np.random.default_rng((self._seed, number, self._shard[0]))
        ordering = torch.Generator().manual_seed(int(random.integers(2**63)))
        with closing(read_ahead(self._prepared(random), _AHEAD)) as chunks:
            buffer = ShuffleBuffer(chunks, self._streamed.buffer_rows, ordering)
            base, larger = divmod(self.rows, count)
            for place in range(count):
                inputs, targets, weights = buffer.take(base + (place < larger))
                weights = None if weights is None else weights.to(self.device)
                yield inputs.to(self.device), targets.to(self.device), weights

    def _prepared(self, random: np.random.Generator) -> Generator[Batch, None, None]:
        with closing(self._streamed.files.chunks(random, self._shard)) as chunks:
            for chunk in chunks:
                yield self._prepare(chunk)
