"""Run wrk: as many requests as a server can handle over some connections, all with the same body."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import other_work
from benchmarks.servers import Running

HERE: Final = Path(__file__).parent
_TIMEOUT_S: Final = 10
CONTENT_TYPES: Final = {
    "json": "application/json",
    "raw": "application/octet-stream",
    "npy": "application/x-npy",
    "msgpack": "application/msgpack",
    "oip": "application/json",
    "mlflow": "application/json",
    "named": "application/json",
}


def provenance() -> dict[str, str]:
    """The version of wrk, for the provenance of results measured with it."""
    output = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return {"wrk": output.split(" [", 1)[0]}


def query_of(server: str, body: str) -> str:
    """The query that our server needs: the size of several raw rows does not determine their dtype."""
    return "?dtype=float32" if body == "raw" and server.startswith("ours") else ""


def measure(running: Running, body: Path, connections: int, seconds: int, processor: int) -> dict[str, float]:
    """Run wrk once on ``processor`` with a body file named by format and rows, such as ``json-32``.

    Returns requests per second, latency percentiles in milliseconds, the number of failed requests, the server's
    processor time per request in microseconds, and the mean number of processors that other programs used meanwhile.
    """
    kind = body.name.split("-", 1)[0]
    path = f"{running.server.path}{query_of(running.server.name, kind)}"
    headers = {"Content-Type": CONTENT_TYPES[kind]}
    return measure_path(running, path, headers, body, connections, seconds, processor)


def measure_path(
    running: Running,
    path: str,
    headers: Mapping[str, str],
    body: Path,
    connections: int,
    seconds: int,
    processor: int,
) -> dict[str, float]:
    """The same for any path, with these headers."""
    command = ["taskset", "--cpu-list", str(processor), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    url = f"{running.server.scheme}://127.0.0.1:{running.server.port}{path}"
    command += ["--timeout", f"{_TIMEOUT_S}s", "-s", str(HERE / "wrk.lua"), url]
    sent = "\n".join(f"{name}: {value}" for name, value in headers.items())
    environment = os.environ | {"BODY": str(body), "HEADERS": sent}
    watch, before_s = other_work.Watch(), running.processor_s()
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    used_s = running.processor_s() - before_s
    run: dict[str, float] = json.loads(output.splitlines()[-1])
    return {
        "requests_s": run["requests"] / run["duration_s"],
        "p50_ms": run["p50_ms"],
        "p99_ms": run["p99_ms"],
        "failed": run["failed"],
        "processor_us": used_s / max(run["requests"], 1) * 1e6,
        "others": watch.others(used_s),
    }
