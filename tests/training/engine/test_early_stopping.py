"""When a run has gone on for long enough, and which weights it ends with."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from training.engine.early_stopping import Patience


def seen(patience: Patience, *values: float) -> list[bool]:
    """Whether it was exhausted after each of ``values``."""
    found = []
    for value in values:
        patience.saw(value)
        found.append(patience.exhausted)
    return found


def test_it_is_exhausted_by_more_than_its_limit_in_a_row() -> None:
    patience = Patience(nn.Linear(1, 1), 2, keep=False)
    assert seen(patience, 5, 4, 4, 6, 5, 5, 5) == [False, False, False, False, False, False, True]
    assert patience.best == 6


def test_it_wants_to_see_it_get_better_by_the_tolerance() -> None:
    patience = Patience(nn.Linear(1, 1), 1, tolerance=1, keep=False)
    assert seen(patience, 0, 1, 1.5, 1.9) == [False, False, False, True]
    assert patience.best == 1.9


@pytest.mark.parametrize("keep", [False, True])
def test_the_best_epochs_weights_come_back_where_they_were_kept(keep: bool) -> None:
    body = nn.Linear(1, 1)
    patience = Patience(body, math.inf, keep=keep)
    for value in (1, 3, 2):
        nn.init.constant_(body.weight, value)
        patience.saw(value)
    patience.restore()
    assert body.weight.item() == (3 if keep else 2)


def test_where_nothing_was_better_the_first_weights_come_back() -> None:
    body = nn.Linear(2, 2)
    first = body.weight.clone()
    patience = Patience(body, 1, best=10, keep=True)
    nn.init.zeros_(body.weight)
    patience.saw(9)
    patience.restore()
    torch.testing.assert_close(body.weight, first)
