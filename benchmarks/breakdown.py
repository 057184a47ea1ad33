"""Where the microseconds of one request go: the stages on in-memory connections, and the rest measured with wrk.

    python -m benchmarks.breakdown

Each stage's function is timed, without the stages that it calls and without the overhead of timing, so the stages add
up to the time of untimed requests. The server's processor time under wrk beyond that is spent in the kernel and the
event loop.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import uvloop

from benchmarks import load, payloads, provenance, report, wire
from benchmarks.servers import Running, ours, peer
from service import app, logs, metrics
from service.http.predict import Predict
from service.http.protocols.native import NativeProtocol
from service.http.transport.fast_path import FastPathProtocol, protocol_factory
from service.http.transport.prediction_cycle import PredictionCycle
from service.inference.batcher import Batcher
from service.inference.jobs import Runner
from service.log_writer import LogWriter
from service.requests import RequestTracker
from service.settings import Settings

# In the order of a request; a stage may have several functions.
STAGES: Final[dict[str, list[tuple[Any, str]]]] = {
    "look up or parse the head": [(FastPathProtocol, "data_received")],
    "create the id and the record": [(FastPathProtocol, "_new_cycle")],
    "find the model and options": [(PredictionCycle, "_run"), (Predict, "__call__")],
    "decode and check the rows": [(NativeProtocol, "decode")],
    "add them to the batch": [(Batcher, "submit")],
    "run the network": [(Runner, "__call__")],
    "split the batch": [(Batcher, "_run_small")],
    "encode the response": [(NativeProtocol, "encode")],
    "write it, await the next request": [(PredictionCycle, "_reply")],
    "count and log": [(RequestTracker, "report")],
}
OTHER: Final = "other"
KERNEL: Final = "kernel, sockets and event loop"
_TURNS: Final = 20_000


class Stopwatch:
    """Time per stage, each without its inner stages."""

    def __init__(self) -> None:
        self._spent_s: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._calls_inside: Counter[str] = Counter()
        self._open = [""]

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, timed as part of ``stage``."""
        spent_s, calls, inside, opened, clock = (
            *(self._spent_s, self._calls, self._calls_inside),
            *(self._open, time.thread_time),
        )

        def timed(*arguments: Any, **named: Any) -> Any:
            outer = opened[-1]
            opened.append(stage)
            started_s = clock()
            try:
                return function(*arguments, **named)
            finally:
                took_s = clock() - started_s
                spent_s[stage] += took_s
                spent_s[outer] -= took_s
                calls[stage] += 1
                inside[outer] += 1
                opened.pop()

        return timed

    def self_s(self, whole_s: float) -> dict[str, float]:
        """Seconds per stage, given that all took ``whole_s`` untimed.

        The rest of the timed seconds is overhead, spread evenly over the calls, in the caller and the callee.
        """
        spent_s = {stage: stage_s for stage, stage_s in self._spent_s.items() if stage}
        ends = {stage: self._calls[stage] + self._calls_inside[stage] for stage in spent_s}
        each_s = max(sum(spent_s.values()) - whole_s, 0.0) / sum(ends.values())
        return {stage: stage_s - ends[stage] * each_s for stage, stage_s in spent_s.items()}


def in_memory(service: app.Service, request: bytes, connections: int, turns: int) -> dict[str, float]:
    """Microseconds of each stage of a request; each connection sends one per turn of the event loop."""
    watch = Stopwatch()

    async def measure() -> float:
        async with service.app.router.lifespan_context(service.app):
            clients = wire.Connections(service.app, protocol_factory(service.fast_path), connections)
            for _ in range(turns // 10):
                await clients.turn(request)
            started_s = time.thread_time()
            for _ in range(turns):
                await clients.turn(request)
            whole_s = time.thread_time() - started_s
            with ExitStack() as stack:
                for stage, functions in STAGES.items():
                    for owner, name in functions:
                        stack.enter_context(patch.object(owner, name, watch.around(stage, getattr(owner, name))))
                for _ in range(turns):
                    await clients.turn(request)
            return whole_s

    whole_s = uvloop.run(measure())
    spent_s = watch.self_s(whole_s)
    spent_s[OTHER] = whole_s - sum(spent_s.values())
    return {stage: spent_s[stage] / turns / connections * 1e6 for stage in (*STAGES, OTHER)}


def on_sockets(model: Path, kinds: list[str], connections: int) -> dict[str, float]:
    """Processor time of one request of each kind, for our server and for bare uvicorn, as the kernel counts it."""
    processors = sorted(os.sched_getaffinity(0))
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        bodies = Path(temporary)
        payloads.write(bodies, {(kind, 1) for kind in kinds})
        bare = peer("bare uvicorn", "bare_uvicorn.py", model / "model.onnx", "/")
        for server in (ours("ours", model.parents[1]), bare):
            with Running(server, processors[:1], bodies / "log") as running:
                for kind in kinds:
                    for seconds in (1, 3):  # the first run warms up
                        run = load.measure(running, bodies / f"{kind}-1", connections, seconds, processors[-1])
                    found[f"{server.name} {kind}"] = run["processor_us"]
    return found


def run(model: Path) -> report.Results:
    """The stages of one-row requests, in JSON and raw, over 64 connections and over one."""
    requests: dict[str, dict[str, float]] = {}
    about = provenance.of(model, "python -m benchmarks.breakdown") | load.provenance()
    with tempfile.TemporaryFile("w") as log:
        request_log = logs.configure("info", "json", LogWriter(log.fileno()))
        for connections in (64, 1):
            over = f"{connections} connection{'s' if connections > 1 else ''}"
            outside = on_sockets(model, ["json", "raw"], connections)
            for kind in ("json", "raw"):
                service = app.build(Settings(models=model.parents[1]), request_log, metrics.alone())
                request = wire.request(payloads.body(kind, 1), load.CONTENT_TYPES[kind], load.query_of("ours", kind))
                stages = in_memory(service, request, connections, _TURNS // connections)
                rest_us = outside[f"ours {kind}"] - sum(stages.values())
                requests[f"{kind}, {over}"] = stages | {KERNEL: rest_us}
            requests[f"bare uvicorn, {over}"] = {KERNEL: outside["bare uvicorn raw"]}
    return {"provenance": about, "requests": requests}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    given = parser.parse_args()
    report.save(given.results / "breakdown.json", run(given.model))


if __name__ == "__main__":
    main()
