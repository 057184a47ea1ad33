"""The metrics of the workers are true at each scrape: while one hangs, is dead, starts or drains."""

from __future__ import annotations

import pytest

from service.heartbeats import SUPERVISOR, Heartbeats
from service.lifecycle import State
from service.metrics.workers import WorkersNow
from tests.service.test_heartbeats import Clock, wait


def scraped(heartbeats: Heartbeats) -> dict[str, float]:
    """What is said of all workers together."""
    families = [family for family in WorkersNow(heartbeats).collect() if not family._labelnames]
    return {family.name: family.samples[0].value for family in families}


def ages(heartbeats: Heartbeats) -> dict[str, float]:
    """What is said of each worker."""
    (family,) = (family for family in WorkersNow(heartbeats).collect() if family._labelnames)
    assert family.name == "mlp_worker_heartbeat_age_seconds"
    return {sample.labels["worker"]: sample.value for sample in family.samples}


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


def test_each_process_that_runs_has_its_age() -> None:
    clock = Clock()
    heartbeats = Heartbeats(4, clock)
    for index, state in [(0, State.READY), (1, State.STARTING), (2, None), (3, State.READY), (SUPERVISOR, State.READY)]:
        heartbeats.enter(index, state)
    wait(heartbeats, clock, 2, 0, SUPERVISOR)
    assert ages(heartbeats) == {"0": 0, "1": 2, "3": 2, "supervisor": 0}


def test_of_many_workers_the_first_ones_have_their_age() -> None:
    heartbeats = Heartbeats(1024, Clock())
    for index in heartbeats.workers:
        heartbeats.enter(index, State.READY)
    assert [*ages(heartbeats)] == [str(index) for index in range(64)]
