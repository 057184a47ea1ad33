"""Requests per second and latency of this server, of bare uvicorn and of its peers, interleaved in one run.

    python benchmarks/bench.py [--rounds 3] [--seconds 3] [--only NAME …]

Each server has one processor and wrk the other, all on this machine; every case is measured once a round, one after the
other, so that a machine that slows down slows them all. Prints and writes the table of `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import report
from servers import Running, Server, ours, peer

HERE = Path(__file__).parent
CONTENT_TYPES = {
    "json": "application/json",
    "raw": "application/octet-stream",
    "msgpack": "application/msgpack",
    "oip": "application/json",
}


@dataclass(frozen=True)
class Case:
    """One line of the table: a server, a body, and how many connections ask at once."""

    server: str
    body: str
    rows: int
    connections: int


def servers(models: Path, processors: str) -> list[tuple[Server, str]]:
    """Every server that is measured and the processors it may use."""
    model = next(models.glob("*/1/model.onnx"))
    first = processors.split(",", maxsplit=1)[0]
    one = [
        ours("ours int8", 8101, models, "--precision", "int8"),
        ours("ours fp32", 8102, models, "--precision", "fp32"),
        ours("ours int8, express off", 8103, models, "--precision", "int8", "--express", "false"),
        peer("bare uvicorn", "bare_uvicorn.py", 8105, model, "/"),
        peer("mosec JSON", "mosec_json.py", 8106, model, "/inference"),
        peer("mosec msgpack", "mosec_msgpack.py", 8107, model, "/inference"),
        peer("LitServe", "litserve_json.py", 8108, model, "/predict"),
        peer("BentoML", "bentoml_json.py", 8109, model, "/predict"),
        peer("MLServer", "mlserver_json.py", 8110, model, "/v2/models/network/infer"),
        peer("FastAPI + torch", "fastapi_torch.py", 8111, model, "/predict"),
    ]
    two = ours("ours int8, 2 workers", 8104, models, "--precision", "int8", "--workers", "2")
    return [*((server, first) for server in one), (two, processors)]


def cases() -> list[Case]:
    """What is measured of each server, in its own body format."""
    found = []
    for name in ("ours int8", "ours fp32"):
        found += [Case(name, kind, rows, c) for kind in ("json", "raw") for rows in (1, 32) for c in (1, 16, 64, 256)]
    found += [Case("ours int8, express off", kind, rows, 64) for kind in ("json", "raw") for rows in (1, 32)]
    found += [Case("ours int8, 2 workers", kind, 1, 64) for kind in ("json", "raw")]
    found += [Case("bare uvicorn", kind, 1, c) for kind in ("json", "raw") for c in (1, 16, 64, 256)]
    formats = {"mosec JSON": "json", "mosec msgpack": "msgpack", "MLServer": "oip"}
    for name in ("mosec JSON", "mosec msgpack", "LitServe", "BentoML", "MLServer", "FastAPI + torch"):
        kind = formats.get(name, "json")
        found += [Case(name, kind, 1, c) for c in (1, 16, 64)] + [Case(name, kind, 32, 16)]
    return found


def measure(case: Case, server: Server, bodies: Path, processor: str, seconds: float) -> dict[str, float]:
    """One run of wrk: requests per second, percentiles in milliseconds, failed requests."""
    path = server.path + ("?dtype=float32" if case.body == "raw" and case.server.startswith("ours") else "")
    command = ["taskset", "-c", processor, "wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s"]
    command += ["-s", str(HERE / "wrk.lua"), f"http://127.0.0.1:{server.port}{path}"]
    environment = os.environ | {
        "BODY": str(bodies / f"{case.body}-{case.rows}"),
        "CONTENT_TYPE": CONTENT_TYPES[case.body],
    }
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    run: dict[str, float] = json.loads(output.splitlines()[-1])
    return {"requests_s": run["requests"] / run["duration_s"], **run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="times every case is measured (default: 3)")
    parser.add_argument("--seconds", type=float, default=3, help="length of one measurement (default: 3)")
    parser.add_argument("--only", nargs="*", default=[], help="names of the servers to measure (default: all)")
    parser.add_argument("--models", type=Path, default=HERE.parent / "models", help="folder with one model")
    parser.add_argument("--processors", default="0,1", help="the servers' processor, then wrk's (default: 0,1)")
    parser.add_argument("--results", type=Path, default=HERE / "results.json", help="where the figures go")
    chosen = parser.parse_args()
    wanted = [case for case in cases() if not chosen.only or case.server in chosen.only]
    names = {case.server for case in wanted}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run([sys.executable, HERE / "payloads.py", folder], check=True)
        running: dict[str, Running] = {}
        try:
            for server, processors in servers(chosen.models, chosen.processors):
                if server.name in names:
                    running[server.name] = Running(server, processors, folder / "log")
            results = measure_all(wanted, running, folder, chosen.processors.split(",")[-1], chosen)
        finally:
            for each in running.values():
                each.stop()
    chosen.results.write_text(json.dumps(results, indent=1) + "\n")
    report.write(chosen.results)


def measure_all(
    wanted: list[Case], running: dict[str, Running], bodies: Path, processor: str, chosen: argparse.Namespace
) -> dict[str, object]:
    """All rounds; every case's runs, and what they were measured with."""
    runs: dict[Case, list[dict[str, float]]] = {case: [] for case in wanted}
    for turn in range(chosen.rounds + 1):  # the first round warms everything up and does not count
        for case in wanted:
            seconds = chosen.seconds if turn else 1
            run = measure(case, running[case.server].server, bodies, processor, seconds)
            if turn:
                runs[case].append(run)
        print(f"round {turn} of {chosen.rounds}", file=sys.stderr)
    lines = [
        vars(case)
        | {
            "requests_s": statistics.median(run["requests_s"] for run in found),
            "spread_s": [min(run["requests_s"] for run in found), max(run["requests_s"] for run in found)],
            "p50_ms": statistics.median(run["p50_ms"] for run in found),
            "p99_ms": statistics.median(run["p99_ms"] for run in found),
            "failed": sum(run["failed"] for run in found),
        }
        for case, found in runs.items()
    ]
    return {
        "provenance": report.provenance(chosen.rounds, chosen.seconds),
        "servers": {name: {"start_s": each.start_s, "memory_mb": each.memory_mb()} for name, each in running.items()},
        "lines": lines,
    }


if __name__ == "__main__":
    main()
