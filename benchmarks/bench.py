"""Requests per second and latency of this server, of bare uvicorn and of its peers, two at a time.

    python -m benchmarks.bench [--quick] [--rounds 9] [--seconds 1] [--only NAME …]

Only the two servers of one comparison are up; each has one processor and wrk another, all on this machine. They are
measured right after each other, and their order alternates by round, so a machine that slows down slows both. What
counts is the ratio of each pair: its median over the rounds, and a 95 % bootstrap interval. The servers are started
anew every three rounds, and must predict the classes that ONNX Runtime predicts. While an interval is wider than 10 %
of its ratio, its load gets more rounds, up to three times as many; not with --quick.

Writes results/bench.json, its tables and plot here, and the table of the project's README. A load whose interval is
still too wide is left out, and named with its interval. Refuses to write anything, with exit status 1, if such a load
is beside bare uvicorn, there are too few rounds, or the measured files have uncommitted changes; then, and always for a
part of the comparisons, the results are in build/bench.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks import front_page, load, paired, payloads, provenance, publishing, report, subjects
from benchmarks.comparisons import COMPARISONS, QUICK, Comparison, Load, Side
from benchmarks.paired import Run
from benchmarks.servers import Running
from benchmarks.subjects import Subjects
from benchmarks.targets import TWO, Results, ratio

PUBLISHED: Final = report.RESULTS / "bench.json"
UNPUBLISHED: Final = provenance.ROOT / "build/bench.json"
_ROUNDS_A_START: Final = 3
_MOST: Final = 3


@dataclass(frozen=True)
class Options:
    """The options of a run; the servers have the first processors, wrk the last one. ``bodies`` has their requests."""

    rounds: int
    seconds: int
    processors: list[int]
    bodies: Path


class Measured:
    """What was measured of a comparison so far."""

    def __init__(self, comparison: Comparison, options: Options, prepared: Subjects) -> None:
        self._comparison, self._options, self._subjects = comparison, options, prepared
        self._sides = comparison.first, comparison.second
        self._starts = 0
        self.runs: dict[Load, list[tuple[Run, Run]]] = {each: [] for each in comparison.loads}
        self.alone: dict[str, list[Run]] = {}

    @property
    def rounds(self) -> int:
        """How many rounds were measured."""
        return self._starts * _ROUNDS_A_START

    def uncertain(self) -> list[Load]:
        """The loads whose ratio has too wide an interval."""
        intervals = {each: ratio(*zip(*found, strict=True)) for each, found in self.runs.items()}
        return [each for each, interval in intervals.items() if publishing.is_wide(interval)]

    def add_rounds(self, loads: Sequence[Load]) -> None:
        """Start both servers, and measure some rounds of these loads.

        Each time another one is started first and stopped last. Its time to the first response and its memory after
        the load are kept: it is by itself then.
        """
        first, second = self._sides if self._starts % 2 else self._sides[::-1]
        with self._started(first) as (by_itself, start_s):
            with self._started(second) as (other, _):
                self._measure((other, by_itself) if second == self._sides[0] else (by_itself, other), loads)
            memory_mb = by_itself.memory_mb()
        self.alone.setdefault(first.server, []).append({"start_s": start_s, "memory_mb": memory_mb})
        self._starts += 1

    @contextmanager
    def _started(self, side: Side) -> Iterator[tuple[Running, float]]:
        """The server, once it has predicted what it should, and the seconds from its start to its first response."""
        server, folder = self._subjects.server(side.server)
        processors = self._options.processors[: 2 if side.server == TWO else 1]
        body = payloads.body(side.body, subjects.CHECKED_ROWS)
        started_s = time.perf_counter()
        with Running(server, processors, self._options.bodies / f"{side.server}.log", folder) as running:
            query = load.query_of(side.server, side.body)
            response = running.wait_for(body, load.CONTENT_TYPES[side.body], query)
            start_s = time.perf_counter() - started_s
            self._subjects.check(side.server, side.body, response)
            yield running, start_s

    def _measure(self, running: tuple[Running, Running], loads: Sequence[Load]) -> None:
        """One round after the other; a run of the last load warms up and is not kept."""
        self._pair(running, self._comparison.loads[-1], 1, 0)
        for turn in range(_ROUNDS_A_START):
            for each in loads:
                self.runs[each].append(self._pair(running, each, self._options.seconds, self.rounds + turn))

    def _pair(self, running: tuple[Running, Running], each: Load, seconds: int, turn: int) -> tuple[Run, Run]:
        options = self._options
        first, second = (
            partial(
                load.measure,
                server,
                options.bodies / f"{side.body}-{each.rows}",
                each.connections,
                seconds,
                options.processors[-1],
            )
            for server, side in zip(running, self._sides, strict=True)
        )
        return paired.pair(first, second, turn)

    def lines(self) -> list[dict[str, Any]]:
        """The results of each load: a line of the first server, and one of the second."""
        first, second = self._sides
        return [
            side._asdict() | each._asdict() | {"beside": other.server, "runs": [run[index] for run in found]}
            for each, found in self.runs.items()
            for index, (side, other) in enumerate(((first, second), (second, first)))
        ]


class Rounds(Protocol):
    """A comparison that can be measured for longer."""

    @property
    def rounds(self) -> int: ...

    def uncertain(self) -> list[Load]: ...

    def add_rounds(self, loads: Sequence[Load]) -> None: ...


def complete(measured: Rounds, loads: Sequence[Load], rounds: int, most: int) -> None:
    """Measure ``rounds`` rounds of all ``loads``, and then, up to ``most``, of those that are uncertain."""
    while measured.rounds < rounds:
        measured.add_rounds(loads)
    while measured.rounds < most and (uncertain := measured.uncertain()):
        measured.add_rounds(uncertain)


def run(comparisons: Sequence[Comparison], model: Path, rounds: int, most: int, seconds: int) -> Results:
    """Measure one comparison after the other."""
    processors = sorted(os.sched_getaffinity(0))  # if there are only two, wrk shares that of the second worker
    about = provenance.of(model, "make bench") | load.provenance()
    results: Results = {"left_out": {}, "alone": {}, "lines": []}
    with tempfile.TemporaryDirectory() as temporary:
        options = Options(rounds, seconds, processors, Path(temporary))
        sides = {(side.body, each.rows) for one in comparisons for side in one[:2] for each in one.loads}
        payloads.write(options.bodies, sides)
        with subjects.prepared(comparisons, model, options.bodies) as prepared:
            results["left_out"] = prepared.left_out
            for each in comparisons:
                if not {each.first.server, each.second.server} & prepared.left_out.keys():
                    measured = Measured(each, options, prepared)
                    complete(measured, each.loads, rounds, most)
                    print(f"{each.name}: {measured.rounds} rounds", file=sys.stderr)
                    results["lines"] += measured.lines()
                    for name, found in measured.alone.items():
                        results["alone"].setdefault(name, []).extend(found)
    others = [found["others"] for line in results["lines"] for found in line["runs"]]
    about |= {
        "runs": f"{rounds} rounds of pairs of {seconds} s, up to {most} while an interval is wide",
        "processors": f"servers on {processors[0]}, two workers on {processors[:2]}, wrk on {processors[-1]}",
        "others": f"used {statistics.median(others):.2f} processors during the median run, at most {max(others):.2f}",
        "load after": f"{os.getloadavg()[0]:.2f} processes over the last minute",
    }
    return {"provenance": about} | results


def destination(refused: Sequence[str], comparisons: Sequence[Comparison]) -> Path:
    """Where results go: they are published if nothing speaks against it, and nothing was left out by an option."""
    return UNPUBLISHED if refused or list(comparisons) != list(COMPARISONS) else PUBLISHED


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=publishing.MIN_ROUNDS, help="pairs of a load (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement (default: 1)")
    parser.add_argument("--quick", action="store_true", help="ours and bare uvicorn alone, about 3 minutes")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="comparisons with one of these servers")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    given = parser.parse_args()
    chosen = [
        each
        for each in (QUICK if given.quick else COMPARISONS)
        if not given.only or {each.first.server, each.second.server} & {*given.only}
    ]
    if not chosen:
        names = sorted({side.server for each in COMPARISONS for side in each[:2]})
        parser.error(f"argument --only: no comparison has {' or '.join(given.only)}, expected {', '.join(names)}")
    most = given.rounds * (1 if given.quick else _MOST)
    results = run(chosen, given.model, given.rounds, most, given.seconds)
    refused = publishing.reasons(results)
    file = destination(refused, chosen)
    report.save(file, publishing.certain(results) if file == PUBLISHED else results)
    if file == PUBLISHED:
        front_page.write()
        print("Now run python -m benchmarks.capacity: docs/capacity.md uses these results.", file=sys.stderr)
        return
    print(f"The results are in {UNPUBLISHED}, and are not published.", file=sys.stderr)
    if refused:
        print("\n".join(f"- {reason}" for reason in refused), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
