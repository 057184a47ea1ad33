"""Long work beside short: one piece after the other, a slice a turn, and everybody is told once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from service.errors import DeadlineExceeded, NotReady
from service.http.slices import SLICE_S, Slices
from service.inference.steps import Steps, finish


class Clock:
    """Each step of the work takes ``step_s``."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def steps(self, count: int, step_s: float, result: object = "done") -> Steps[Any]:
        for _ in range(count):
            self.now_s += step_s
            yield
        if isinstance(result, Exception):
            raise result
        return result


class Owner:
    cancelled = False


def run(story: Callable[[Slices, Clock, list[Any]], None], turns: int = 200) -> list[Any]:
    """What was told, of work that ``story`` adds."""

    async def told() -> list[Any]:
        clock = Clock()
        heard: list[Any] = []
        slices = Slices(clock)
        story(slices, clock, heard)
        for _ in range(turns):
            await asyncio.sleep(0)
        return heard

    return asyncio.run(told())


def test_all_steps_at_once() -> None:
    assert finish(Clock().steps(3, 1.0)) == "done"
    with pytest.raises(ValueError, match="no"):
        finish(Clock().steps(3, 1.0, ValueError("no")))


def test_work_runs_in_order_and_reports_its_times() -> None:
    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        for name in "ab":
            slices.add(clock.steps(3, 1.0, name), Owner(), math.inf, lambda *told: heard.append(told))

    assert run(story) == [("a", 3.0, 0.0), ("b", 3.0, 3.0)]


def test_between_two_slices_the_loop_turns() -> None:
    turns: list[int] = []

    async def story() -> int:
        clock, slices, over = Clock(), Slices(Clock()), asyncio.Event()
        slices = Slices(clock)
        slices.add(clock.steps(100, SLICE_S / 4), Owner(), math.inf, lambda *_: over.set())
        while not over.is_set():
            turns.append(1)
            await asyncio.sleep(0)
        return len(turns)

    assert 25 <= asyncio.run(story()) <= 30


def test_first_goes_before_all_others() -> None:
    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        for name in "ab":
            slices.add(clock.steps(3, 1.0), Owner(), math.inf, lambda *_, name=name: heard.append(name))
        slices.add(clock.steps(3, 1.0), Owner(), math.inf, lambda *_: heard.append("first"), first=True)

    assert run(story) == ["first", "a", "b"]


def test_cancelled_work_does_not_run_and_calls_nobody() -> None:
    begun: list[str] = []

    def steps(name: str) -> Steps[str]:
        begun.append(name)
        yield
        return name

    def story(slices: Slices, _clock: Clock, heard: list[Any]) -> None:
        gone = Owner()
        slices.add(steps("gone"), gone, math.inf, lambda *_: heard.append("gone"))
        slices.add(steps("there"), Owner(), math.inf, lambda *_: heard.append("there"))
        gone.cancelled = True

    assert run(story) == ["there"]
    assert begun == ["there"]


def test_a_deadline_that_passes_before_or_in_the_work_ends_it() -> None:
    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        for deadline_s in (2.5, 0.5, 100.0):
            slices.add(clock.steps(10, 1.0), Owner(), deadline_s, lambda *told: heard.append(told))

    (late, never, good) = run(story)
    assert isinstance(late[0], DeadlineExceeded)
    assert str(late[0]) == "the time for this request ran out after 3 s; allow more, or retry"
    assert isinstance(never[0], DeadlineExceeded)
    assert never[1] == 0.0
    assert good[0] == "done"


def test_an_error_is_passed_on_and_the_next_work_runs(caplog: pytest.LogCaptureFixture) -> None:
    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        def broken(*_told: object) -> None:
            raise ValueError("a listener")

        slices.add(clock.steps(1, 1.0, ValueError("no")), Owner(), math.inf, lambda *told: heard.append(told[0]))
        slices.add(clock.steps(1, 1.0), Owner(), math.inf, broken)
        slices.add(clock.steps(1, 1.0), Owner(), math.inf, lambda *told: heard.append(told[0]))

    error, good = run(story)
    assert isinstance(error, ValueError)
    assert good == "done"
    assert "a listener" in caplog.text


def test_close_ends_all_work_that_waits() -> None:
    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        for _ in range(2):
            slices.add(clock.steps(1, 1.0), Owner(), math.inf, lambda *told: heard.append(told[0]))
        slices.close()

    heard = run(story)
    assert [type(each) for each in heard] == [NotReady, NotReady]
