"""Spare time: a thread gets what the rest of the process leaves, and a hundredth of a processor in any case."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from service.inference.spare_time import SpareTime, waited_s


class Times:
    """The clock, and the processor times of process and thread, that a test sets."""

    def __init__(self) -> None:
        self.now_s = self.others_s = self.own_s = 0.0
        self.spare = SpareTime(lambda: self.now_s, lambda: self.others_s + self.own_s, lambda: self.own_s)

    def share(self, busy: float, run_s: float = 0.01, cycles: int = 1000) -> float:
        """The share of a processor that the thread uses beside others that use ``busy`` of it, once it is measured."""
        began_s = used_s = 0.0
        for cycle in range(cycles):
            if cycle == cycles // 2:
                began_s, used_s = self.now_s, self.own_s
            self.own_s += run_s
            passed_s = run_s + self.spare.rest_s()
            self.now_s += passed_s
            self.others_s += busy * passed_s
        return (self.own_s - used_s) / (self.now_s - began_s)


@pytest.mark.parametrize(("busy", "share"), [(0.0, 0.9), (0.3, 0.6), (0.8, 0.1), (0.95, 0.01), (3.0, 0.01)])
def test_a_thread_gets_what_others_leave(busy: float, share: float) -> None:
    assert Times().share(busy) == pytest.approx(share, rel=0.05)


def test_waiting_for_a_processor_is_known() -> None:
    """Two busy threads of one processor: the main thread waits for part of the time."""
    before_s, began_s = waited_s(), time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    processors = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(processors)})
        os.sched_setaffinity(process.pid, {min(processors)})
        while waited_s() == before_s and time.monotonic() - began_s < 60:
            sum(range(100_000))
        assert 0 < waited_s() - before_s < time.monotonic() - began_s
    finally:
        os.sched_setaffinity(0, processors)
        process.kill()
        process.wait()


def test_a_rest_is_bounded() -> None:
    times = Times()
    times.share(3.0)
    times.own_s += 100
    assert times.spare.rest_s() == 2.0
