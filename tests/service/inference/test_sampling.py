"""Sampling: all rows at low load; at high load a bounded number, by chance, whose weights stand for all."""

from __future__ import annotations

import numpy as np
import pytest

from service.inference.sampling import RowSampler, effective_rows


def run(sampler: RowSampler, runs: int, rows: int, rows_s: float, began_s: float = 0.0) -> tuple[list[float], int]:
    """Offer runs of so many rows at a rate. The weight of each row, 0 if it was not picked, and the number picked."""
    weights: list[float] = []
    for index in range(runs):
        picked = sampler.pick(rows, began_s + index * rows / rows_s)
        chosen = np.zeros(rows)
        if picked is not None:
            chosen[picked] = sampler.weight
        weights += chosen.tolist()
    return weights, sum(weight > 0 for weight in weights)


@pytest.mark.parametrize("rows", [1, 7])
def test_at_low_load_each_row_is_picked_and_counts_once(rows: int) -> None:
    weights, _ = run(RowSampler(100, np.random.default_rng(0).random), 1000, rows, 90)
    assert set(weights) == {1.0}


@pytest.mark.parametrize("rows", [1, 7, 32, 1000])
def test_at_high_load_a_bounded_number_of_rows_stands_for_all(rows: int) -> None:
    seconds = 40
    weights, picked = run(RowSampler(100, np.random.default_rng(1).random), seconds * 20_000 // rows, rows, 20_000)
    assert 0.8 * seconds * 100 < picked < (seconds + 4) * 100 * 1.2 + rows
    assert sum(weights) == pytest.approx(seconds * 20_000, rel=0.1)


def test_each_row_is_as_likely_to_be_picked_whatever_its_place_in_a_run() -> None:
    weights, _ = run(RowSampler(1000, np.random.default_rng(2).random), 20_000, 8, 20_000)
    by_place = np.array(weights).reshape(-1, 8)[1000:].mean(axis=0)
    assert by_place == pytest.approx(np.ones(8), abs=0.15)


def test_rows_of_busy_and_quiet_times_count_alike() -> None:
    sampler = RowSampler(100, np.random.default_rng(3).random)
    busy, _ = run(sampler, 50_000, 1, 10_000, 0)
    quiet, _ = run(sampler, 5_000, 1, 50, 10)
    assert sum(busy) == pytest.approx(50_000, rel=0.1)
    assert sum(quiet) == pytest.approx(5_000, rel=0.1)
    assert set(quiet[-4000:]) == {1.0}


def test_a_burst_after_a_pause_is_bounded_within_its_second() -> None:
    sampler = RowSampler(100, np.random.default_rng(4).random)
    run(sampler, 10, 1, 1)
    _, picked = run(sampler, 50_000, 1, 100_000, 1000)
    assert picked < 600


def test_rows_of_equal_weight_tell_as_much_as_their_number() -> None:
    assert effective_rows(0, 0) == 0
    assert effective_rows(30, 300) == 3  # of weight 10
    assert effective_rows(10 + 10, 10 + 100) == pytest.approx(400 / 110)  # ten of weight 1 and one of weight 10
