"""Steps that run in a thread: in order, cancelled, late, failed, and closed; and beside the steps on the loop."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import Any

import pytest

from service.errors import DeadlineExceeded, NotReady
from service.http.slices import Slices
from service.inference.steps import InThread, Steps, finish, finish_on_loop

MAIN = threading.current_thread()


class Owner:
    cancelled = False


class Desk:
    """Slices on a running loop; ``heard`` is what was delivered."""

    def __init__(self) -> None:
        self.slices = Slices(time.perf_counter)
        self.heard: list[Any] = []

    def add(self, steps: Steps[Any], owner: Owner | None = None, deadline_s: float = math.inf, **how: bool) -> None:
        self.slices.add(steps, owner or Owner(), deadline_s, lambda result, *_: self.heard.append(result), **how)

    async def settle(self) -> None:
        async with asyncio.timeout(60):
            while not self.slices.idle():
                await asyncio.sleep(0.001)


class Gate:
    """Steps that wait in their thread until they are let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.steps_run = 0

    def steps(self) -> Steps[str]:
        for _ in range(3):
            self.steps_run += 1
            self.begun.set()
            assert self.open.wait(60)
            yield
        return "through"

    def through(self) -> Steps[str]:
        return (yield InThread(self.steps()))

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 60)


def of_thread(result: object = "done") -> Steps[tuple[Any, bool]]:
    def inner() -> Steps[bool]:
        yield
        if isinstance(result, Exception):
            raise result
        return threading.current_thread() is MAIN

    before = 1
    yield
    is_main = yield InThread(inner())
    yield
    return result, is_main and before == 1


def test_a_step_runs_in_a_thread_and_its_result_goes_back_to_the_loop() -> None:
    async def story() -> Any:
        desk = Desk()
        desk.add(of_thread("done"))
        await desk.settle()
        return desk.heard

    assert asyncio.run(story()) == [("done", False)]


def test_an_error_in_a_thread_ends_the_work_and_the_next_runs() -> None:
    async def story() -> Any:
        desk = Desk()
        desk.add(of_thread(KeyError("no")))
        desk.add(of_thread("yes"))
        await desk.settle()
        return desk.heard

    error, good = asyncio.run(story())
    assert isinstance(error, KeyError)
    assert good == ("yes", False)


def test_a_small_request_does_not_wait_for_a_large_one_and_the_loop_for_neither() -> None:
    async def story() -> Any:
        desk, gate = Desk(), Gate()
        desk.add(gate.through(), is_large=True)
        await gate.entered()
        desk.add(of_thread("small"))
        async with asyncio.timeout(60):
            while not desk.heard:
                await asyncio.sleep(0.001)
        assert not desk.slices.idle()  # a drain waits for the large one
        gate.open.set()
        await desk.settle()
        return desk.heard

    assert asyncio.run(story()) == [("small", False), "through"]


def test_work_in_a_thread_stops_after_its_step_once_the_client_is_gone() -> None:
    async def story() -> tuple[list[Any], int]:
        desk, gate, gone = Desk(), Gate(), Owner()
        desk.add(gate.through(), gone)
        await gate.entered()
        gone.cancelled = True
        gate.open.set()
        await desk.settle()
        return desk.heard, gate.steps_run

    assert asyncio.run(story()) == ([], 1)


def test_work_whose_deadline_passes_in_or_before_the_thread_is_answered_late() -> None:
    async def story() -> tuple[list[Any], int, int]:
        desk, first, second = Desk(), Gate(), Gate()
        now_s = 0.0
        desk.slices = Slices(lambda: now_s)
        desk.add(first.through(), deadline_s=1.0)
        await first.entered()
        desk.add(second.through(), deadline_s=1.0)
        await asyncio.sleep(0)
        now_s = 2.0
        first.open.set()
        second.open.set()
        await desk.settle()
        return desk.heard, first.steps_run, second.steps_run

    heard, first_ran, second_ran = asyncio.run(story())
    assert [type(each) for each in heard] == [DeadlineExceeded] * 2
    assert (first_ran, second_ran) == (1, 0)


def test_close_answers_work_in_a_thread_and_work_that_comes_later() -> None:
    async def story() -> tuple[list[Any], int]:
        desk, gate = Desk(), Gate()
        desk.add(gate.through())
        desk.add(of_thread())  # waits for the thread
        await gate.entered()
        desk.slices.close()
        assert desk.slices.idle()
        desk.add(of_thread())
        await desk.settle()
        gate.open.set()
        return desk.heard, gate.steps_run

    heard, steps_run = asyncio.run(story())
    assert [type(each) for each in heard] == [NotReady] * 3
    assert steps_run == 1


def test_steps_are_finished_here_with_or_without_a_thread() -> None:
    def on_loop() -> Steps[str]:
        yield
        return "done"

    assert finish(of_thread("done")) == ("done", True)
    assert finish_on_loop(on_loop()) == "done"
    with pytest.raises(KeyError):
        finish(of_thread(KeyError("no")))


def test_steps_that_need_a_thread_are_left_to_it() -> None:
    async def story() -> Any:
        desk, left = Desk(), finish_on_loop(of_thread("done"))
        desk.add(left)  # type: ignore[arg-type]
        await desk.settle()
        return desk.heard

    assert asyncio.run(story()) == [("done", False)]
