"""The one-cycle schedule against torch's."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from training.engine.schedule import one_cycle


def test_a_single_step_is_taken_at_the_peak() -> None:
    assert one_cycle(0.3, 1)(0) == 0.3


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10, 101, 1000])
def test_rates_equal_torchs(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1)
    theirs = OneCycleLR(optimizer, 0.3, total_steps=max(steps, 4), cycle_momentum=False)
    ours = one_cycle(0.3, steps)
    for step in range(steps):
        assert 0 <= ours(step) <= 0.3
        if steps >= 4:  # torch divides by zero below
            assert ours(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
            optimizer.step()
            if step < steps - 1:
                theirs.step()
