"""A step of load on a real server with one worker, and the same step in the simulator."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.capacity.autoscaler import Direction, Policy, Settings
from benchmarks.capacity.costs import TurnCost
from benchmarks.capacity.simulation import SLOW_S, Cluster, Pod, run
from benchmarks.clients import Clients, Tally
from benchmarks.servers import Running

QUEUE_S: Final = 0.2
# Shares of the capacity before, in and after the step, and how long each lasts, in seconds.
LOW: Final = 0.5
HIGH: Final = 1.5
BEFORE_S: Final = 4
DURING_S: Final = 10
AFTER_S: Final = 5
_ALL_S: Final = BEFORE_S + DURING_S + AFTER_S
_ONE: Final = Direction(0, (Policy("Pods", 1, 15),))
_ALONE: Final = Settings(target=1.0, min_replicas=1, max_replicas=1, up=_ONE, down=_ONE)


@dataclass(frozen=True)
class Second:
    """What became of the requests of one second; ``used_s`` is the server's processor time."""

    answered: float
    refused: float
    slow: float
    wait_s: float
    used_s: float = 0.0


async def of_server(running: Running, request: bytes, capacity_s: float) -> list[Second]:
    """The step on the server: some clients send all the time, and others during the step."""
    always, more = Clients(running.server.port), Clients(running.server.port)
    tallies = [_paced(always, LOW * capacity_s, request)]
    seconds, at_s, used_s, stopping = [], time.perf_counter(), running.processor_s(), None
    for second in range(_ALL_S):
        if second == BEFORE_S:
            tallies.append(_paced(more, (HIGH - LOW) * capacity_s, request))
        elif second == BEFORE_S + DURING_S:
            stopping = asyncio.get_running_loop().create_task(more.stop(5.0))
        at_s += 1.0
        await asyncio.sleep(at_s - time.perf_counter())
        used_s, before_s = running.processor_s(), used_s
        seconds.append(_second(tallies, used_s - before_s))
    assert stopping is not None
    await asyncio.gather(always.stop(5.0), stopping)
    return seconds


def _paced(group: Clients, per_s: float, request: bytes) -> Tally:
    """Enough clients to send at that rate although each waits for its answer."""
    return group.paced(math.ceil(2 * QUEUE_S * per_s) + 16, per_s, request)


def _second(tallies: list[Tally], used_s: float) -> Second:
    answers = sum((tally.answers for tally in tallies), start=Counter[int]())
    times_s = [took_s for tally in tallies for took_s in tally.took_s.get(200, [])]
    for tally in tallies:
        tally.clear()
    wait_s = float(np.median(times_s)) if times_s else 0.0
    return Second(answers[200], answers[429], sum(took_s > SLOW_S for took_s in times_s), wait_s, used_s)


def of_simulator(cost: TurnCost, cpus: float, refusal: float, capacity_s: float) -> list[Second]:
    """The step in the simulator, with as much of a processor as the server got."""
    ends_s = BEFORE_S + DURING_S

    def offered_s(now_s: float) -> float:
        return capacity_s * (HIGH if BEFORE_S <= now_s < ends_s else LOW)

    pod = Pod(cost, 1, cpus, 1.0, QUEUE_S, refusal)
    found, steps = run(Cluster(_ALONE, pod, 0.0), offered_s, 1, _ALL_S, step_s=0.01), 100
    values = [
        np.reshape(each, (-1, steps)).mean(axis=1) for each in (found.served, found.refused, found.slow, found.wait_s)
    ]
    return [Second(*map(float, each)) for each in zip(*values, strict=True)]


def summary(seconds: list[Second]) -> dict[str, Any]:
    """Rates and shares during the step, and the seconds after it until none was refused or slow."""
    during = seconds[BEFORE_S : BEFORE_S + DURING_S]
    answered, refused = (sum(getattr(each, what) for each in during) for what in ("answered", "refused"))
    after = seconds[BEFORE_S + DURING_S :]
    unwell = [number for number, each in enumerate(after, 1) if each.refused + each.slow > 0]
    return {
        "came/s": round((answered + refused) / DURING_S),
        "answered/s": round(answered / DURING_S),
        "refused": f"{refused / (answered + refused):.0%}",
        "median wait, ms": round(1e3 * float(np.median([each.wait_s for each in during]))),
        "s until none is refused or slow": unwell[-1] if unwell else 0,
    }
