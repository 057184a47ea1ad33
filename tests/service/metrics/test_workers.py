"""The metrics of the workers are true at each scrape: while one hangs, is dead, starts or drains."""

from __future__ import annotations

import pytest

from service.heartbeats import SUPERVISOR, Heartbeats
from service.lifecycle import State
from service.metrics.workers import WorkersNow
from tests.service.test_heartbeats import Clock, wait


def scraped(heartbeats: Heartbeats) -> dict[str, float]:
    return {family.name: family.samples[0].value for family in WorkersNow(heartbeats).collect()}


@pytest.mark.parametrize(
    ("states", "ready", "workers"),
    [
        ((State.READY, State.READY), 1, 2),
        ((State.READY, State.STARTING), 0, 1),
        ((State.READY, State.DRAINING), 0, 2),
        ((State.READY, None), 0, 1),
        ((None, State.STOPPED), 0, 0),
    ],
)
def test_states(states: tuple[State | None, ...], ready: int, workers: int) -> None:
    heartbeats = Heartbeats(2, Clock())
    for index, state in enumerate(states):
        heartbeats.enter(index, state)
    assert scraped(heartbeats) == {"mlp_ready": ready, "mlp_workers": workers, "mlp_heartbeat_age_seconds": 0}


def test_a_worker_that_hangs_does_not_count() -> None:
    clock = Clock()
    heartbeats = Heartbeats(2, clock)
    for index in (0, 1, SUPERVISOR):
        heartbeats.enter(index, State.READY)
    wait(heartbeats, clock, 3, 0, SUPERVISOR)
    assert scraped(heartbeats) == {"mlp_ready": 1, "mlp_workers": 2, "mlp_heartbeat_age_seconds": 3}
    wait(heartbeats, clock, 1, 0, SUPERVISOR)
    assert scraped(heartbeats) == {"mlp_ready": 0, "mlp_workers": 1, "mlp_heartbeat_age_seconds": 4}
    heartbeats.enter(1, State.STARTING)
    wait(heartbeats, clock, 4, 0)
    assert scraped(heartbeats) == {"mlp_ready": 0, "mlp_workers": 1, "mlp_heartbeat_age_seconds": 4}  # the supervisor's


def test_a_single_process_has_no_supervisor() -> None:
    clock = Clock()
    heartbeats = Heartbeats(1, clock)
    heartbeats.enter(0, State.READY)
    wait(heartbeats, clock, 100, 0)
    assert scraped(heartbeats) == {"mlp_ready": 1, "mlp_workers": 1, "mlp_heartbeat_age_seconds": 0}
