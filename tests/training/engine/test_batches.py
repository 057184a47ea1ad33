"""Batches from rows in memory: each row once an epoch, in equal batches, and slices of them that workers take."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.engine.batches import BatchSource, InMemoryBatches, SlicedBatches
from training.engine.loop import Rows

ROWS = Rows(torch.arange(10.0).view(10, 1), torch.arange(10), torch.arange(10.0))


def rows_of(source: BatchSource, count: int, epoch: int = 1) -> list[Tensor]:
    return [targets for _, targets, _ in source.epoch(epoch, count)]


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
def test_slices_of_workers_are_the_batches_of_one_process(workers: int) -> None:
    torch.manual_seed(3)
    sources = [SlicedBatches(ROWS, (index, workers)) for index in range(workers)]
    alone = InMemoryBatches(ROWS)
    for epoch in (1, 2):
        slices = [rows_of(source, 2, epoch) for source in sources]
        together = [torch.cat(batch).sort().values.tolist() for batch in zip(*slices, strict=True)]
        assert together == [batch.sort().values.tolist() for batch in rows_of(alone, 2)]
    assert sum(source.rows for source in sources) == len(ROWS.inputs)


def test_an_epoch_has_the_same_order_when_those_before_it_are_left_out() -> None:
    torch.manual_seed(3)
    whole, resumed = SlicedBatches(ROWS, (1, 2)), SlicedBatches(ROWS, (1, 2))
    first, second = (torch.cat(rows_of(whole, 2, epoch)).tolist() for epoch in (1, 2))
    assert torch.cat(rows_of(resumed, 2, 2)).tolist() == second != first
