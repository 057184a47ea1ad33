"""wrk: as many requests as a server answers over so many connections, always with the same body."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.servers import Running

HERE: Final = Path(__file__).parent
_PATIENCE_S: Final = 10
CONTENT_TYPES: Final = {
    "json": "application/json",
    "raw": "application/octet-stream",
    "npy": "application/x-npy",
    "msgpack": "application/msgpack",
    "oip": "application/json",
}


def provenance() -> dict[str, str]:
    """The load generator's version, for the provenance of figures measured with it; nothing else needs it installed."""
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return {"wrk": said.split(" [", 1)[0]}


def query_of(server: str, body: str) -> str:
    """What our server must be told of a body: that one row of 784 bytes could be no other dtype is not so for many."""
    return "?dtype=float32" if body == "raw" and server.startswith("ours") else ""


def measure(running: Running, body: Path, connections: int, seconds: int, processor: int) -> dict[str, float]:
    """One run of wrk on ``processor``, with a body named by its format and its rows, as ``json-32``.

    Requests per second, percentiles of the latency in milliseconds, the number of requests that failed, and the
    processor time a request took of the server's, in microseconds.
    """
    server = running.server
    kind = body.name.split("-", 1)[0]
    command = ["taskset", "--cpu-list", str(processor), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    url = f"http://127.0.0.1:{server.port}{server.path}{query_of(server.name, kind)}"
    command += ["--timeout", f"{_PATIENCE_S}s", "-s", str(HERE / "wrk.lua"), url]
    environment = os.environ | {"BODY": str(body), "CONTENT_TYPE": CONTENT_TYPES[kind]}
    before_s = running.processor_s()
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    used_s = running.processor_s() - before_s
    run: dict[str, float] = json.loads(output.splitlines()[-1])
    return {
        "requests_s": run["requests"] / run["duration_s"],
        "p50_ms": run["p50_ms"],
        "p99_ms": run["p99_ms"],
        "failed": run["failed"],
        "processor_us": used_s / max(run["requests"], 1) * 1e6,
    }
