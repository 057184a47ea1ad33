"""Batches of rows that are read in chunks: each row once an epoch, in equal batches, shuffled."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
import torch

from training.data.streamed import Chunk, Streamed
from training.engine.batches import InMemoryBatches
from training.engine.loop import Batch, Rows
from training.engine.streamed_batches import StreamedBatches

ROWS, CHUNK = 1000, 64


class Numbers:
    """Chunks of the numbers from 0 on, as rows."""

    def rows_of(self, shard: tuple[int, int]) -> int:
        return len(range(shard[0], ROWS, shard[1]))

    def chunks(self, random: np.random.Generator, shard: tuple[int, int]) -> Generator[Chunk, None, None]:
        numbers = np.arange(shard[0], ROWS, shard[1])
        chunks = np.split(numbers, range(CHUNK, len(numbers), CHUNK))
        for place in random.permutation(len(chunks)):
            yield Chunk(chunks[place][:, None].astype(np.float32), chunks[place])


def prepare(chunk: Chunk) -> Batch:
    return torch.from_numpy(chunk.inputs), torch.from_numpy(chunk.targets), torch.from_numpy(chunk.targets).float()


def batches(buffer_rows: int, *, shard: tuple[int, int] = (0, 1), seed: int = 0) -> StreamedBatches:
    streamed = Streamed(Numbers(), ROWS, (), None, buffer_rows)
    return StreamedBatches(streamed, prepare, torch.device("cpu"), seed, shard)


def epoch(source: StreamedBatches, number: int = 1, count: int = 7) -> list[int]:
    return [row for _, targets, _ in source.epoch(number, count) for row in targets.tolist()]


@pytest.mark.parametrize("buffer_rows", [10, 200, 5000])
def test_an_epoch_has_each_row_once_in_equal_batches(buffer_rows: int) -> None:
    found = list(batches(buffer_rows).epoch(1, 7))
    in_memory = InMemoryBatches(Rows(torch.zeros(ROWS, 1), torch.zeros(ROWS))).epoch(1, 7)
    assert [len(inputs) for inputs, _, _ in found] == [len(inputs) for inputs, _, _ in in_memory]
    assert sorted(row for _, targets, _ in found for row in targets.tolist()) == list(range(ROWS))
    for inputs, targets, weights in found:
        assert weights is not None
        assert inputs[:, 0].tolist() == targets.tolist() == weights.tolist()


def test_the_seed_and_the_number_of_the_epoch_give_the_order() -> None:
    assert epoch(batches(200)) == epoch(batches(200))
    assert epoch(batches(200)) != epoch(batches(200), 2)
    assert epoch(batches(200)) != epoch(batches(200, seed=1))


def test_rows_of_a_chunk_are_spread() -> None:
    """In order, neighbours are 1 apart; in a buffer of all rows their mean distance is a third of the rows."""
    distance = {size: np.abs(np.diff(epoch(batches(size)))).mean() for size in (500, 5000)}
    assert distance[5000] == pytest.approx(ROWS / 3, rel=0.1)
    assert distance[500] > 0.7 * distance[5000]


def test_shards_share_no_row_and_lack_none() -> None:
    found = [epoch(batches(200, shard=(index, 3)), count=5) for index in range(3)]
    assert sorted(row for each in found for row in each) == list(range(ROWS))
