"""What the check of the simulator against a server says of given seconds, and of a step with a closed form."""

from __future__ import annotations

import pytest

from benchmarks.capacity.costs import TurnCost
from benchmarks.capacity.step_check import AFTER_S, BEFORE_S, DURING_S, QUEUE_S, Second, of_simulator, summary

WELL = Second(answered=500, refused=0, slow=0, wait_s=0.01)


def test_the_summary_is_of_the_step_and_of_the_time_after_it() -> None:
    full, late = Second(800, 200, 700, 0.2), Second(600, 0, 100, 0.15)
    seconds = [WELL] * BEFORE_S + [full] * DURING_S + [late] + [WELL] * (AFTER_S - 1)
    assert summary(seconds) == {
        "came/s": 1000,
        "answered/s": 800,
        "refused": "20%",
        "median wait, ms": 200,
        "s until none is refused or slow": 1,
    }


def test_the_simulated_step_fills_the_queue_and_refuses_the_rest() -> None:
    seconds = of_simulator(TurnCost(0, 1000), cpus=1, refusal=0.0, capacity_s=1000)
    assert len(seconds) == BEFORE_S + DURING_S + AFTER_S
    # The first second of the step fills the queue of 200 requests at 500 a second.
    during = seconds[BEFORE_S : BEFORE_S + DURING_S]
    assert [round(each.refused) for each in during] == pytest.approx([300] + [500] * (DURING_S - 1), abs=6)
    assert during[-1].wait_s == pytest.approx(QUEUE_S)
    assert summary(seconds)["s until none is refused or slow"] == 1
