"""Heartbeats: who hangs, and who was only not judged fairly, by a clock of the test's own."""

from __future__ import annotations

import pytest

from service.heartbeats import HUNG_S, INTERVAL_S, SUPERVISOR, Heartbeats
from service.lifecycle import State
from tests.service.forked import in_a_child


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heartbeats(clock: Clock) -> Heartbeats:
    made = Heartbeats(2, clock)
    for index in (0, 1, SUPERVISOR):
        made.enter(index, State.READY)
    return made


def wait(heartbeats: Heartbeats, clock: Clock, seconds: float, *beating: int) -> None:
    """Let time pass while these processes send heartbeats."""
    for _ in range(round(seconds / INTERVAL_S)):
        clock.now_s += INTERVAL_S
        for index in beating:
            heartbeats.beat(index)


def test_a_process_that_sends_heartbeats_never_hangs(heartbeats: Heartbeats, clock: Clock) -> None:
    wait(heartbeats, clock, 1000, 0, 1, SUPERVISOR)
    assert [heartbeats.age_s(index) for index in (0, 1, SUPERVISOR)] == [0, 0, 0]
    assert max(heartbeats.overdue_s(index) for index in (0, 1, SUPERVISOR)) == -HUNG_S


def test_one_without_heartbeats_hangs_after_some_seconds(heartbeats: Heartbeats, clock: Clock) -> None:
    wait(heartbeats, clock, HUNG_S, 0, SUPERVISOR)
    assert heartbeats.overdue_s(1) == 0
    wait(heartbeats, clock, INTERVAL_S, 0, SUPERVISOR)
    assert (heartbeats.overdue_s(0), heartbeats.overdue_s(1)) == (-HUNG_S, INTERVAL_S)
    heartbeats.beat(1)
    assert heartbeats.overdue_s(1) == -HUNG_S


@pytest.mark.parametrize(
    ("state", "limit_s"), [(State.STARTING, 300), (State.READY, 6), (State.DRAINING, 6), (State.STOPPED, 15)]
)
def test_a_start_and_an_end_may_take_longer(heartbeats: Heartbeats, clock: Clock, state: State, limit_s: float) -> None:
    heartbeats.enter(1, state)
    assert heartbeats.state(1) is state
    wait(heartbeats, clock, limit_s, SUPERVISOR)
    assert heartbeats.overdue_s(1) == 0
    wait(heartbeats, clock, INTERVAL_S, SUPERVISOR)
    assert heartbeats.overdue_s(1) > 0


def test_one_without_a_process_does_not_hang(heartbeats: Heartbeats, clock: Clock) -> None:
    heartbeats.enter(1, None)
    wait(heartbeats, clock, 1000, SUPERVISOR)
    assert (heartbeats.state(1), heartbeats.overdue_s(1)) == (None, 0)


def test_a_new_state_counts_as_a_heartbeat(heartbeats: Heartbeats, clock: Clock) -> None:
    heartbeats.enter(1, State.STARTING)
    wait(heartbeats, clock, 100, SUPERVISOR)
    heartbeats.enter(1, State.READY)
    assert heartbeats.overdue_s(1) == -HUNG_S


def test_one_that_was_stopped_itself_gives_the_others_time(heartbeats: Heartbeats, clock: Clock) -> None:
    """1. The whole machine sleeps for an hour. 2. The others get as long as ever. 3. One does not come back."""
    wait(heartbeats, clock, 10, 0, 1, SUPERVISOR)
    clock.now_s += 3600
    heartbeats.beat(SUPERVISOR)
    assert [heartbeats.age_s(index) for index in (0, 1)] == [0, 0]
    wait(heartbeats, clock, HUNG_S, 0, SUPERVISOR)
    assert heartbeats.overdue_s(1) == 0
    wait(heartbeats, clock, INTERVAL_S, 0, SUPERVISOR)
    assert heartbeats.overdue_s(1) > 0


def test_one_that_is_a_little_late_gives_no_time(heartbeats: Heartbeats, clock: Clock) -> None:
    for _ in range(5):
        clock.now_s += 2.5 * INTERVAL_S
        heartbeats.beat(SUPERVISOR)
    assert heartbeats.age_s(1) == 12.5 * INTERVAL_S


def test_asking_for_an_age_after_a_pause_gives_time_too(heartbeats: Heartbeats, clock: Clock) -> None:
    clock.now_s += 3600
    assert heartbeats.age_s(1) == 0


def test_another_process_sees_the_same() -> None:
    heartbeats = Heartbeats(2)

    def in_a_worker() -> None:
        heartbeats.enter(1, State.READY)

    in_a_child(in_a_worker)
    assert (heartbeats.state(0), heartbeats.state(1)) == (None, State.READY)
    assert heartbeats.age_s(1) < 60
