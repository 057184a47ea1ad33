"""What watching costs: a server with drift, and one with a shadow version, beside one with neither.

The servers have the shipped model and one processor, wrk another; each case is measured in alternation, in an order
that changes every round. The shadow version is the served one under another number. Prints the median over the rounds
of the ratio of requests per second, with over without, with a 95 % bootstrap interval, and the same for the processor
time of a request, which other programs on the machine disturb less. Nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import intervals, load, payloads, provenance
from benchmarks.change import BODIES
from benchmarks.markdown import table
from benchmarks.servers import Running, ours

CONNECTIONS: Final = (1, 64)
NO_DRIFT: Final = ("--drift-features", "0")
WATCHED: Final = {"drift": (), "shadow": (*NO_DRIFT, "--shadow", "fashion-mnist@2")}
Measured = dict[str, list[list[dict[str, float]]]]


def with_a_second_version(folder: Path) -> Path:
    """A models folder with the shipped version as number 1 and as number 2."""
    for version in (1, 2):
        copy = folder / "models" / "fashion-mnist" / str(version)
        shutil.copytree(provenance.MODEL, copy)
        manifest = json.loads((copy / "metadata.json").read_text())
        (copy / "metadata.json").write_text(json.dumps(manifest | {"version": version}))
    return folder / "models"


def measured(rounds: int, seconds: int) -> Measured:
    """Runs of all servers by case, the one that watches nothing first; one list a round."""
    own, wrk = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    found: Measured = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        payloads.write(folder, set(BODIES))
        models = {"shadow": with_a_second_version(folder)}
        servers = [
            stack.enter_context(
                Running(ours("ours", models.get(name, provenance.MODEL.parents[1]), *options), [own], folder / name)
            )
            for name, options in {"none": NO_DRIFT, **WATCHED}.items()
        ]
        for turn in range(rounds + 1):  # the first round warms up and does not count
            for kind, rows in BODIES:
                for connections in CONNECTIONS:
                    order = [(turn + index) % len(servers) for index in range(len(servers))]
                    runs = {
                        index: load.measure(servers[index], folder / f"{kind}-{rows}", connections, seconds, wrk)
                        for index in order
                    }
                    assert not any(run["failed"] for run in runs.values()), "requests failed"
                    if turn:
                        case = f"{kind}, rows: {rows}, connections: {connections}"
                        found.setdefault(case, []).append([runs[index] for index in range(len(servers))])
            print(f"round {turn} of {rounds}", file=sys.stderr)
    return found


def shown(found: Measured) -> str:
    """The figures as a table."""
    lines: list[Sequence[str]] = []
    for case, rounds in found.items():
        for index, name in enumerate(WATCHED, 1):
            rates, times = (
                intervals.of_ratios([(runs[0][figure], runs[index][figure]) for runs in rounds])
                for figure in ("requests_s", "processor_us")
            )
            late = [statistics.median(runs[each]["p99_ms"] for runs in rounds) for each in (0, index)]
            without = statistics.median(runs[0]["requests_s"] for runs in rounds)
            lines.append(
                (case, name, f"{without:,.0f}", _interval(rates), _interval(times), f"{late[0]:.2f} → {late[1]:.2f}")
            )
    return table(("case", "with", ">requests/s without", ">ratio", ">ratio of processor time", ">p99, ms"), lines)


def _interval(found: tuple[float, float, float]) -> str:
    median, low, high = found
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.watching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="runs of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one run (default: 1)")
    given = parser.parse_args()
    figures = measured(given.rounds, given.seconds)
    origin = provenance.of(provenance.MODEL, " ".join(sys.argv))
    print("\n".join(f"- {name}: {value}" for name, value in origin.items()))
    print(shown(figures))


if __name__ == "__main__":
    main()
