"""Long work in slices: one job after the other, one slice per turn of the event loop, one report for each."""

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
    """A clock that work moves on by ``step_s`` per step."""

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
    """The results of the work that ``story`` adds."""

    async def results() -> list[Any]:
        clock = Clock()
        found: list[Any] = []
        slices = Slices(clock)
        story(slices, clock, found)
        for _ in range(turns):
            await asyncio.sleep(0)
        return found

    return asyncio.run(results())


def test_all_steps_at_once() -> None:
    assert finish(Clock().steps(3, 1.0)) == "done"
    with pytest.raises(ValueError, match="no"):
        finish(Clock().steps(3, 1.0, ValueError("no")))


def test_work_runs_in_order_and_reports_its_times() -> None:
    def story(slices: Slices, clock: Clock, found: list[Any]) -> None:
        for name in "ab":
            slices.add(clock.steps(3, 1.0, name), Owner(), math.inf, lambda *result: found.append(result))

    assert run(story) == [("a", 3.0, 0.0), ("b", 3.0, 3.0)]


def test_the_loop_turns_between_two_slices() -> None:
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


def test_work_marked_first_goes_before_the_rest() -> None:
    def story(slices: Slices, clock: Clock, found: list[Any]) -> None:
        for name in "ab":
            slices.add(clock.steps(3, 1.0), Owner(), math.inf, lambda *_, name=name: found.append(name))
        slices.add(clock.steps(3, 1.0), Owner(), math.inf, lambda *_: found.append("first"), first=True)

    assert run(story) == ["first", "a", "b"]


def test_cancelled_work_neither_runs_nor_reports() -> None:
    begun: list[str] = []

    def steps(name: str) -> Steps[str]:
        begun.append(name)
        yield
        return name

    def story(slices: Slices, _clock: Clock, found: list[Any]) -> None:
        gone = Owner()
        slices.add(steps("gone"), gone, math.inf, lambda *_: found.append("gone"))
        slices.add(steps("there"), Owner(), math.inf, lambda *_: found.append("there"))
        gone.cancelled = True

    assert run(story) == ["there"]
    assert begun == ["there"]


def test_work_ends_when_its_deadline_passes() -> None:
    def story(slices: Slices, clock: Clock, found: list[Any]) -> None:
        for deadline_s in (2.5, 0.5, 100.0):
            slices.add(clock.steps(10, 1.0), Owner(), deadline_s, lambda *result: found.append(result))

    (late, never, good) = run(story)
    assert isinstance(late[0], DeadlineExceeded)
    assert str(late[0]) == "the time for this request ran out after 3 s; allow more, or retry"
    assert isinstance(never[0], DeadlineExceeded)
    assert never[1] == 0.0
    assert good[0] == "done"


def test_an_error_is_passed_on_and_the_next_work_runs(caplog: pytest.LogCaptureFixture) -> None:
    def story(slices: Slices, clock: Clock, found: list[Any]) -> None:
        def broken(*_: object) -> None:
            raise ValueError("a listener")

        slices.add(clock.steps(1, 1.0, ValueError("no")), Owner(), math.inf, lambda result, *_: found.append(result))
        slices.add(clock.steps(1, 1.0), Owner(), math.inf, broken)
        slices.add(clock.steps(1, 1.0), Owner(), math.inf, lambda result, *_: found.append(result))

    error, good = run(story)
    assert isinstance(error, ValueError)
    assert good == "done"
    assert "a listener" in caplog.text


def test_close_rejects_waiting_work() -> None:
    def story(slices: Slices, clock: Clock, found: list[Any]) -> None:
        for _ in range(2):
            slices.add(clock.steps(1, 1.0), Owner(), math.inf, lambda result, *_: found.append(result))
        slices.close()

    errors = run(story)
    assert [type(error) for error in errors] == [NotReady, NotReady]


def test_the_wait_is_estimated_by_the_bytes_that_wait_and_the_time_that_bytes_take() -> None:
    """Cancelled and failed work, and answers on their way out, say nothing about the time that bytes take."""

    def story(slices: Slices, clock: Clock, heard: list[Any]) -> None:
        gone = Owner()
        gone.cancelled = True

        def done(*_: object) -> None:
            heard.append(slices.wait_s())

        for steps, owner, size_bytes in (
            (clock.steps(10, 0.1), Owner(), 1000),
            (clock.steps(1, 0.1), gone, 9000),
            (clock.steps(1, 1.0, ValueError("no")), Owner(), 6000),
            (clock.steps(1, 0.5), Owner(), 0),
            (clock.steps(10, 0.4), Owner(), 1000),
            (clock.steps(10, 0.1), Owner(), 1000),
        ):
            slices.add(steps, owner, math.inf, done, size_bytes=size_bytes)
        heard.append(slices.wait_s())

    unknown, first, failed, answer, slower, last = run(story)
    assert unknown == 0
    assert first == pytest.approx(17.0)  # 1 ms a byte, 17,000 bytes
    assert failed == answer == pytest.approx(2.0)
    # The earlier piece counts less.
    assert 1.0 * (1 + 4) / 2 < slower < 4.0
    assert last == 0
