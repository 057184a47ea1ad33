"""Which results of `benchmarks.bench` may be published."""

from __future__ import annotations

from typing import Final

from benchmarks import provenance
from benchmarks.intervals import Interval
from benchmarks.targets import BARE, Results, pairs, ratio

MIN_ROUNDS: Final = 9
MAX_WIDTH: Final = 0.10


def is_wide(interval: Interval) -> bool:
    """Whether an interval is wider than `MAX_WIDTH` of its median, or neither is a number."""
    return not interval.width <= MAX_WIDTH


def certain(results: Results) -> Results:
    """The results without the loads whose ratio has too wide an interval, which ``left_out`` names with the reason."""
    uncertain = _uncertain(results)
    lines = [line for pair in pairs(results) if _name(*pair) not in uncertain for line in pair]
    return results | {"left_out": results["left_out"] | uncertain, "lines": lines}


def reasons(results: Results) -> list[str]:
    """Why the results may not be published; nothing if they may.

    Loads beside another server are left out if they are uncertain; those beside bare uvicorn have to be certain, as
    the others are compared with them.
    """
    found = [f"{name}: {reason}" for name, reason in _uncertain(results).items() if f"beside {BARE}" in name]
    rounds = min(len(line["runs"]) for line in results["lines"])
    if rounds < MIN_ROUNDS:
        found.append(f"{rounds} rounds were measured, expected at least {MIN_ROUNDS}")
    if provenance.DIRTY in results["provenance"]["commit"]:
        found.append("the measured files have uncommitted changes")
    return found


def _uncertain(results: Results) -> dict[str, str]:
    """Each load whose interval is too wide, and how wide it is."""
    found = {}
    for pair in pairs(results):
        interval = ratio(*(line["runs"] for line in pair))
        if is_wide(interval):
            found[_name(*pair)] = (
                f"its ratio of {interval.median:.3g} ({interval.low:.3g} to {interval.high:.3g}) is "
                f"{interval.width:.0%} wide, expected at most {MAX_WIDTH:.0%}"
            )
    return found


def _name(first: Results, second: Results) -> str:
    return (
        f"{first['server']} ({first['body']}) beside {second['server']}, rows: {first['rows']}, connections: "
        f"{first['connections']}"
    )
