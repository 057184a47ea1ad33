"""Batch size and learning rate by the number of training rows; values given stay."""

from __future__ import annotations

import pytest

from training.config import Config
from training.recipe import sizing

AUTOMATIC = Config(batch_size=0, lr=0.0)


@pytest.mark.parametrize("rows", [1, 7, 100, 1000, 5000, 20_000, 100_000, 10**6, 10**8])
def test_batches_grow_with_the_rows_within_bounds(rows: int) -> None:
    found, more = (sizing.resolved(AUTOMATIC, each) for each in (rows, 3 * rows))
    assert 32 <= found.batch_size <= more.batch_size <= 1024
    assert 1e-3 <= found.lr <= more.lr <= 4e-3
    assert found.batch_size.bit_count() == 1


def test_small_tables_have_small_batches_and_large_ones_large() -> None:
    assert sizing.resolved(AUTOMATIC, 1000).batch_size == 32
    assert sizing.resolved(AUTOMATIC, 1_000_000).batch_size == 1024


def test_values_given_stay() -> None:
    config = Config(batch_size=77, lr=0.5)
    assert sizing.resolved(config, 10**6) == config
    half_given = sizing.resolved(Config(batch_size=64, lr=0.0), 10**6)
    assert (half_given.batch_size, half_given.lr) == (64, sizing.lr_for(64))
