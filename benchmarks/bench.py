"""Requests per second and latency of this server, of bare uvicorn and of its peers, interleaved in one run.

    python -m benchmarks.bench [--rounds 7] [--seconds 1] [--only NAME …]

Each server has one processor and wrk another, all on this machine. Every case is measured once per round, and cases
that are compared run right after each other, so a machine that slows down slows them all. First, each server must
predict the classes that ONNX Runtime predicts. Writes results/bench.json, the tables of README.md, and a plot.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import onnxruntime

from benchmarks import load, payloads, provenance, report
from benchmarks.servers import Running, Server, ours, peer
from benchmarks.targets import BARE, TWO

CONNECTIONS: Final = (1, 16, 64, 256)
# Like the peers and bare uvicorn, ours logs no requests unless its name says so.
_QUIET: Final = ("--log-level", "warning")
OURS: Final = {
    "ours int8": ("int8", *_QUIET),
    "ours fp32": ("fp32", *_QUIET),
    "ours int8, request log": ("int8",),
    "ours int8, fast path off": ("int8", *_QUIET, "--fast-path", "false"),
    TWO: ("int8", *_QUIET, "--workers", "2"),
}
# Each peer's script, body format and path.
PEERS: Final = {
    "mosec JSON": ("mosec_json.py", "json", "/inference"),
    "mosec msgpack": ("mosec_msgpack.py", "msgpack", "/inference"),
    "LitServe": ("litserve_json.py", "json", "/predict"),
    "BentoML": ("bentoml_json.py", "json", "/predict"),
    "MLServer": ("mlserver_json.py", "oip", "/v2/models/network/infer"),
    "FastAPI + torch": ("fastapi_torch.py", "json", "/predict"),
}


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    rounds: int
    seconds: int
    only: list[str]
    model: Path
    processors: list[int]


@dataclass(frozen=True)
class Case:
    """One line of the table: a server, a body, and the number of concurrent connections."""

    server: str
    body: str
    rows: int
    connections: int


def cases() -> list[Case]:
    """All cases, sorted so that those that are compared are neighbours."""
    found = []
    for kind in ("json", "raw"):
        for name in (BARE, "ours int8", "ours fp32"):
            found += [Case(name, kind, 1, connections) for connections in CONNECTIONS]
        for name in ("ours int8", "ours fp32"):
            found += [Case(name, kind, 32, connections) for connections in CONNECTIONS]
        for name in ("ours int8, request log", "ours int8, fast path off", TWO):
            found += [Case(name, kind, rows, 64) for rows in (1, 32)]
    for name, (_, kind, _) in PEERS.items():
        found += [Case(name, kind, 1, connections) for connections in (1, 16, 64)] + [Case(name, kind, 32, 16)]
    return sorted(found, key=lambda case: (case.rows, case.connections, case.body, case.server))


def servers(model: Path, processors: list[int], wanted: set[str]) -> list[tuple[Server, list[int]]]:
    """The ``wanted`` servers, each with the processors it may use."""
    models, graph = model.parents[1], model / "model.onnx"
    found = [
        (ours(name, models, "--precision", precision, *more), processors[: 2 if name == TWO else 1])
        for name, (precision, *more) in OURS.items()
        if name in wanted
    ]
    if BARE in wanted:
        found.append((peer(BARE, "bare_uvicorn.py", graph, "/"), processors[:1]))
    for name, (script, _, path) in PEERS.items():
        if name in wanted:
            found.append((peer(name, script, graph, path), processors[:1]))
    return found


def check(running: Running, kinds: set[str], model: Path) -> None:
    """Raise `AssertionError` if a server predicts other classes for 32 rows than its graph does."""
    name = running.server.name
    if name == BARE:
        return
    graph = model / ("model.int8.onnx" if "int8" in name else "model.onnx")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    expected = session.run(["prediction"], {"inputs": payloads.rows(32)})[0].tolist()
    for kind in kinds:
        response = running.wait_for(payloads.body(kind, 32), load.CONTENT_TYPES[kind], load.query_of(name, kind))
        found = payloads.classes(kind, response)
        assert found == expected, f"{name} responds to {kind} with classes {found}, expected {expected}"


def alone(server: Server, cpus: list[int], kinds: set[str], bodies: Path, options: Options) -> list[dict[str, float]]:
    """The start time and the memory under load of one server, in each round; its predictions are checked."""
    found = []
    for _ in range(options.rounds):
        with Running(server, cpus, bodies / "log") as running:
            check(running, kinds, options.model)
            load.measure(running, bodies / f"{min(kinds)}-32", 64, 1, options.processors[-1])
            found.append({"start_s": running.start_s, "memory_mb": running.memory_mb()})
    return found


def together(wanted: list[Case], running: dict[str, Running], bodies: Path, options: Options) -> list[dict[str, Any]]:
    """Every case with its runs, one per round."""
    runs: dict[Case, list[dict[str, float]]] = {case: [] for case in wanted}
    for turn in range(options.rounds + 1):  # the first round warms up and is not kept
        for case in wanted:
            body, seconds = bodies / f"{case.body}-{case.rows}", options.seconds if turn else 1
            run = load.measure(running[case.server], body, case.connections, seconds, options.processors[-1])
            if turn:
                runs[case].append(run)
        print(f"round {turn} of {options.rounds}", file=sys.stderr)
    return [asdict(case) | {"runs": found} for case, found in runs.items()]


def run(options: Options) -> dict[str, Any]:
    """Measure each server by itself, then all of them interleaved."""
    wanted = [case for case in cases() if not options.only or case.server in options.only]
    first, last = options.processors[0], options.processors[-1]
    about = (
        provenance.of(options.model, "make bench")
        | load.provenance()
        | {
            "runs": f"{options.rounds} interleaved rounds of {options.seconds} s a case",
            "processors": f"servers on {first}, two workers on {options.processors[:2]}, wrk on {last}",
        }
    )
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        bodies = Path(temporary)
        payloads.write(bodies, {(case.body, rows) for case in wanted for rows in (1, 32)})
        selected = servers(options.model, options.processors, {case.server for case in wanted})
        by_itself = {}
        for server, cpus in selected:
            kinds = {case.body for case in wanted if case.server == server.name}
            by_itself[server.name] = alone(server, cpus, kinds, bodies, options)
        running = {each.name: stack.enter_context(Running(each, cpus, bodies / "log")) for each, cpus in selected}
        return {"provenance": about, "alone": by_itself, "lines": together(wanted, running, bodies, options)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each case (default: 7)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement (default: 1)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="servers to measure (default: all)")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    given = parser.parse_args()
    # wrk runs on the last processor; if there are only two, it shares that of the second worker.
    options = Options(given.rounds, given.seconds, given.only, given.model, sorted(os.sched_getaffinity(0)))
    report.save(given.results / "bench.json", run(options))


if __name__ == "__main__":
    main()
