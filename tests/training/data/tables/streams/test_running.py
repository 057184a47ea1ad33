"""Statistics and samples that are kept while rows go by, against numpy's of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.tables.streams import row_hash
from training.data.tables.streams.running import Counts, Moments, Reservoir


def test_moments_of_blocks_are_those_of_all_rows() -> None:
    random = np.random.default_rng(0)
    values = np.column_stack([1e9 + random.normal(0, 1, 1000), random.exponential(5, 1000), np.full(1000, np.nan)])
    values[::7, 1] = np.nan
    values[:300, 0] = np.nan  # all of the first blocks
    moments = Moments(3)
    for block in np.array_split(values, 9):
        moments.add(block)
    for index in (0, 1):
        known = values[~np.isnan(values[:, index]), index]
        found = moments.statistics(index)
        assert found.missing == pytest.approx(1 - len(known) / 1000)
        assert [found.mean, found.std] == pytest.approx([known.mean(), known.std()], rel=1e-12, abs=1e-6)
        assert (found.min, found.max) == (known.min(), known.max())
    assert moments.statistics(2).missing == 1


def test_counts_grow_with_the_codes() -> None:
    counts = Counts()
    counts.add(np.array([0, 2, 2, np.nan]))
    counts.add(np.array([40.0, 0]))
    assert counts.of(3).tolist() == [2, 0, 2]
    assert counts.of(41)[40] == 1
    assert counts.of(60).sum() == 5
    assert counts.missing == 1


@pytest.mark.parametrize("blocks", [1, 11, 400])
def test_a_reservoir_keeps_the_smallest_numbers_in_the_order_of_the_rows(blocks: int) -> None:
    numbers, reservoir = row_hash.of_rows(0, 1000), Reservoir(50)
    for block in np.array_split(np.arange(1000), blocks):
        reservoir.add(numbers[block], block, block[:, None] * 2)
    rows, doubled = reservoir.rows()
    assert rows.tolist() == sorted(np.argsort(numbers)[:50].tolist())
    assert doubled[:, 0].tolist() == (rows * 2).tolist()
    assert reservoir.seen == 1000


def test_a_reservoir_keeps_all_of_few_rows() -> None:
    reservoir = Reservoir(50)
    reservoir.add(row_hash.of_rows(0, 3), np.arange(3))
    assert reservoir.rows()[0].tolist() == [0, 1, 2]
