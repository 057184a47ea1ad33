"""Batches from rows in memory: each row once an epoch, in equal batches, and shards that share no row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.engine.batches import InMemoryBatches
from training.engine.loop import Rows

ROWS = Rows(torch.arange(10.0).view(10, 1), torch.arange(10), torch.arange(10.0))


def rows_of(source: InMemoryBatches, count: int) -> list[Tensor]:
    return [targets for _, targets, _ in source.epoch(1, count)]


def test_an_epoch_has_each_row_once_in_equal_batches() -> None:
    batches = rows_of(InMemoryBatches(ROWS), 3)
    assert [len(batch) for batch in batches] == [4, 3, 3]
    assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_inputs_targets_and_weights_stay_together() -> None:
    for inputs, targets, weights in InMemoryBatches(ROWS).epoch(1, 3):
        assert weights is not None
        assert inputs[:, 0].tolist() == targets.tolist() == weights.tolist()


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    source = InMemoryBatches(ROWS)
    torch.manual_seed(0)
    first, second = (torch.cat(rows_of(source, 2)).tolist() for _ in range(2))
    torch.manual_seed(0)
    assert first != second
    assert torch.cat(rows_of(source, 2)).tolist() == first


@pytest.mark.parametrize("workers", [2, 3])
def test_shards_share_no_row_and_lack_none(workers: int) -> None:
    sources = [InMemoryBatches(ROWS, (index, workers)) for index in range(workers)]
    found = [torch.cat(rows_of(source, 2)).tolist() for source in sources]
    assert [source.rows for source in sources] == [len(each) for each in found]
    assert sorted(row for each in found for row in each) == list(range(10))
