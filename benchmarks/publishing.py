"""Whether results of `benchmarks.bench` may be published."""

from __future__ import annotations

from typing import Final

from benchmarks import provenance
from benchmarks.intervals import Interval
from benchmarks.targets import Results, pairs, ratio

MIN_ROUNDS: Final = 9
MAX_WIDTH: Final = 0.10


def is_wide(interval: Interval) -> bool:
    """Whether an interval is wider than `MAX_WIDTH` of its median, or neither is a number."""
    return not interval.width <= MAX_WIDTH


def too_wide(results: Results) -> list[str]:
    """Each ratio whose interval is too wide."""
    found = []
    for first, second in pairs(results):
        interval = ratio(first["runs"], second["runs"])
        if is_wide(interval):
            found.append(
                f"{first['server']} ({first['body']}) beside {second['server']}, rows: {first['rows']}, connections: "
                f"{first['connections']}: {interval.median:.3g} ({interval.low:.3g} to {interval.high:.3g}) is "
                f"{interval.width:.0%} wide, expected at most {MAX_WIDTH:.0%}"
            )
    return found


def reasons(results: Results) -> list[str]:
    """Why the results may not be published; nothing if they may."""
    found = too_wide(results)
    rounds = min(len(line["runs"]) for line in results["lines"])
    if rounds < MIN_ROUNDS:
        found.append(f"{rounds} rounds were measured, expected at least {MIN_ROUNDS}")
    if provenance.DIRTY in results["provenance"]["commit"]:
        found.append("the measured files have uncommitted changes")
    return found
