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
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import load, payloads, provenance
from benchmarks.change import BODIES
from benchmarks.markdown import listed
from benchmarks.servers import Running, ours
from benchmarks.tracing import shown

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


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.watching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="runs of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one run (default: 1)")
    given = parser.parse_args()
    figures = measured(given.rounds, given.seconds)
    print(listed(provenance.of(provenance.MODEL, " ".join(sys.argv))))
    print(shown(["nothing", *WATCHED], figures))


if __name__ == "__main__":
    main()
