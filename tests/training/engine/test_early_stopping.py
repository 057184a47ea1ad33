"""When early stopping stops, and which weights it restores."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from training.engine.early_stopping import EarlyStopping


def decisions(early_stopping: EarlyStopping, *scores: float) -> list[bool]:
    """Whether training should stop after each of ``scores``."""
    found = []
    for score in scores:
        early_stopping.update(score)
        found.append(early_stopping.should_stop)
    return found


def test_it_stops_after_more_than_patience_epochs_in_a_row_without_improvement() -> None:
    early_stopping = EarlyStopping(nn.Linear(1, 1), 2, keep_best=False)
    assert decisions(early_stopping, 5, 4, 4, 6, 5, 5, 5) == [False, False, False, False, False, False, True]
    assert early_stopping.best == 6


def test_an_improvement_is_at_least_the_tolerance() -> None:
    early_stopping = EarlyStopping(nn.Linear(1, 1), 1, tolerance=1, keep_best=False)
    assert decisions(early_stopping, 0, 1, 1.5, 1.9) == [False, False, False, True]
    assert early_stopping.best == 1.9


def test_the_count_continues_from_an_earlier_run() -> None:
    early_stopping = EarlyStopping(nn.Linear(1, 1), 2, best=6, no_improvement_count=2, keep_best=False)
    assert decisions(early_stopping, 5) == [True]


@pytest.mark.parametrize("keep_best", [False, True])
def test_the_weights_of_the_best_epoch_are_restored_if_kept(keep_best: bool) -> None:
    body = nn.Linear(1, 1)
    early_stopping = EarlyStopping(body, math.inf, keep_best=keep_best)
    for value in (1, 3, 2):
        nn.init.constant_(body.weight, value)
        early_stopping.update(value)
    early_stopping.restore_best()
    assert body.weight.item() == (3 if keep_best else 2)


def test_the_first_weights_are_restored_if_nothing_was_better() -> None:
    body = nn.Linear(2, 2)
    first = body.weight.clone()
    early_stopping = EarlyStopping(body, 1, best=10, keep_best=True)
    nn.init.zeros_(body.weight)
    early_stopping.update(9)
    early_stopping.restore_best()
    torch.testing.assert_close(body.weight, first)
