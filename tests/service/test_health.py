"""What the probes answer, while other processes respond, hang, die, start and stop."""

from __future__ import annotations

import asyncio

import pytest

from service.health import LOST_S, Health
from service.heartbeats import HUNG_S, SUPERVISOR, SUSPECT_S, Heartbeats
from service.lifecycle import State
from tests.service.test_heartbeats import Clock, wait

EVERYONE = (0, 1, 2, SUPERVISOR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heartbeats(clock: Clock) -> Heartbeats:
    made = Heartbeats(3, clock)
    for index in EVERYONE:
        made.enter(index, State.READY)
    return made


@pytest.fixture
def health(heartbeats: Heartbeats) -> Health:
    return Health(heartbeats, 0)


def test_all_is_well(health: Health, heartbeats: Heartbeats, clock: Clock) -> None:
    wait(heartbeats, clock, 1000, *EVERYONE)
    assert (health.unready(), health.lost()) == (None, None)


def test_another_worker_hangs(health: Health, heartbeats: Heartbeats, clock: Clock) -> None:
    """1. It hangs. 2. The server is not ready. 3. Nobody replaces it. 4. The server is lost. 5. It is replaced."""
    wait(heartbeats, clock, SUSPECT_S, 0, 1, SUPERVISOR)
    assert health.unready() is None
    wait(heartbeats, clock, 1, 0, 1, SUPERVISOR)
    assert health.unready() == "worker 2 has not responded for 4.0 s; after 6 s it is replaced"
    wait(heartbeats, clock, LOST_S - SUSPECT_S - 1, 0, 1, SUPERVISOR)
    assert health.lost() is None
    wait(heartbeats, clock, 1, 0, 1, SUPERVISOR)
    assert health.lost() == "worker 2 hangs and was not replaced within 20 s"
    heartbeats.enter(2, None)
    assert (health.unready(), health.lost()) == (None, None)


@pytest.mark.parametrize("state", [None, State.STARTING, State.STOPPED])
def test_a_worker_that_takes_no_connections_may_be_silent(
    health: Health, heartbeats: Heartbeats, clock: Clock, state: State | None
) -> None:
    heartbeats.enter(2, state)
    wait(heartbeats, clock, 15, 0, 1, SUPERVISOR)
    assert (health.unready(), health.lost()) == (None, None)


def test_a_worker_that_drains_does_not_make_others_unready(
    health: Health, heartbeats: Heartbeats, clock: Clock
) -> None:
    heartbeats.enter(2, State.DRAINING)
    wait(heartbeats, clock, HUNG_S, 0, 1, SUPERVISOR)
    assert health.unready() is None


def test_the_supervisor_hangs(health: Health, heartbeats: Heartbeats, clock: Clock) -> None:
    """The workers serve on, but nobody would replace one."""
    wait(heartbeats, clock, LOST_S, 0, 1, 2)
    assert (health.unready(), health.lost()) == (None, None)
    wait(heartbeats, clock, 1, 0, 1, 2)
    assert health.unready() is None
    assert health.lost() == "the supervisor has not responded for 21.0 s"
    heartbeats.beat(SUPERVISOR)
    assert health.lost() is None


def test_a_machine_that_slept_is_well(health: Health, clock: Clock) -> None:
    clock.now_s += 3600
    assert (health.unready(), health.lost()) == (None, None)


def test_a_single_process_is_not_judged(clock: Clock) -> None:
    heartbeats = Heartbeats(1, clock)
    alone = Health(heartbeats)
    alone.changed(State.READY)
    clock.now_s += 3600
    assert (alone.unready(), alone.lost()) == (None, None)


def test_heartbeats_come_from_the_event_loop() -> None:
    heartbeats = Heartbeats(1, interval_s=0.001)
    health = Health(heartbeats)
    beats = []

    async def story() -> None:
        with health.beating():
            while len(set(beats)) < 4:
                beats.append(heartbeats._beats_s[0])
                await asyncio.sleep(0.001)
        last = heartbeats._beats_s[0]
        await asyncio.sleep(0.02)
        assert heartbeats._beats_s[0] == last, "they go on after the end"

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_worker_that_is_stuck_in_a_thread_sends_no_heartbeats(caplog: pytest.LogCaptureFixture) -> None:
    """1. It is stuck. 2. It is neither ready nor, on its own, alive, and others see it hang. 3. It goes on."""
    heartbeats = Heartbeats(1, interval_s=0.001)
    health, stuck = Health(heartbeats), True

    async def story() -> None:
        nonlocal stuck
        with health.beating(lambda: stuck):
            before = heartbeats._beats_s[0]
            await asyncio.sleep(0.05)
            assert heartbeats._beats_s[0] == before
            assert health.unready() == health.lost() == "a run of the network does not end"
            stuck = False
            while heartbeats._beats_s[0] == before:
                await asyncio.sleep(0.001)
            assert (health.unready(), health.lost()) == (None, None)

    asyncio.run(asyncio.wait_for(story(), 60))
    assert [record.message for record in caplog.records] == [
        "a run of the network does not end; this process counts as hung from now on"
    ]


def test_the_supervisor_replaces_one_of_several_that_is_stuck() -> None:
    health = Health(Heartbeats(2))
    asyncio.run(_begin_stuck(health))
    assert (health.unready(), health.lost()) == ("a run of the network does not end", None)


async def _begin_stuck(health: Health) -> None:
    with health.beating(lambda: True):
        pass
