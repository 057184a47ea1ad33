"""Cost by rows, body size and connections, and small requests next to huge ones.

    python -m benchmarks.sweep

A cliff is a step where the next row, byte or connection costs more than twice as much as elsewhere.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import load, payloads, provenance, report
from benchmarks.servers import Running, ours

ROWS: Final = (1, 3, 10, 32, 100, 316, 1000, 3162, 10_000)
BYTES: Final = tuple(4**exponent for exponent in range(7, 14))  # 16 kB to 64 MB
CONNECTIONS: Final = (1, 4, 16, 64, 256, 1000, 2000)
CLIFF: Final = 2.0
_BOUND_BYTES: Final = 80 * 1024**2
_SECONDS: Final = 3
_LATENCY_S: Final = 4.0

Points = list[dict[str, Any]]


def latency_ms(running: Running, kind: str, body: bytes) -> float:
    """The median latency of one request at a time over one connection, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=60)
    path = running.server.path + load.query_of("ours", kind)
    took_s: list[float] = []
    ends_at_s = time.perf_counter() + _LATENCY_S
    while len(took_s) < 5 or (len(took_s) < 300 and time.perf_counter() < ends_at_s):
        started_s = time.perf_counter()
        connection.request("POST", path, body, {"content-type": load.CONTENT_TYPES[kind]})
        response = connection.getresponse()
        response.read()
        took_s.append(time.perf_counter() - started_s)
        assert response.status == 200, f"status {response.status}"
    connection.close()
    return statistics.median(took_s) * 1e3


def over_rows(running: Running) -> Points:
    """Latency of JSON and raw requests by number of rows."""
    points = []
    for count in ROWS:
        took_ms = {f"{kind} ms": latency_ms(running, kind, payloads.body(kind, count)) for kind in ("json", "raw")}
        points.append({"rows": count} | took_ms)
    return points


def over_bytes(running: Running) -> Points:
    """Latency of one JSON row padded with spaces, by body size."""
    row = payloads.body("json", 1)
    return [{"bytes": size, "ms": latency_ms(running, "json", row.rjust(size))} for size in BYTES]


def over_connections(running: Running, bodies: Path, processor: int) -> Points:
    """One-row JSON requests at full speed, by number of connections."""
    points = []
    for connections in CONNECTIONS:
        run = load.measure(running, bodies / "json-1", connections, _SECONDS, processor)
        points.append({"connections": connections} | _figures(run) | {"processor µs": run["processor_us"]})
    return points


def _figures(run: dict[str, float]) -> dict[str, Any]:
    return {
        "p50 ms": run["p50_ms"],
        "p99 ms": run["p99_ms"],
        "requests/s": round(run["requests_s"]),
        "failed": int(run["failed"]),
    }


@contextmanager
def stream(running: Running, body: bytes) -> Iterator[list[float]]:
    """Send huge raw requests one after another inside the context; yields their latencies in seconds."""
    took_s: list[float] = []
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            started_s = time.perf_counter()
            running.post(body, load.CONTENT_TYPES["raw"], load.query_of("ours", "raw"))
            took_s.append(time.perf_counter() - started_s)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield took_s
    finally:
        stop.set()
        thread.join()


def beside(running: Running, bodies: Path, processor: int) -> Points:
    """One-row requests over 16 connections, alone and next to a stream of 10,000-row requests."""
    alone = load.measure(running, bodies / "json-1", 16, _SECONDS, processor)
    with stream(running, payloads.body("raw", 10_000)) as took_s:
        time.sleep(0.5)
        together = load.measure(running, bodies / "json-1", 16, 2 * _SECONDS, processor)
    return [{"huge requests": 0} | _figures(alone), {"huge requests": len(took_s)} | _figures(together)]


def verdict(name: str, points: Points, figure: str, least: int) -> str:
    """Whether there is a cliff in the cost per step between neighbouring points from ``least`` on."""
    over = next(iter(points[0]))
    points = [point for point in points if point[over] >= least]
    steps = [(b[figure] - a[figure]) / (b[over] - a[over]) for a, b in itertools.pairwise(points)]
    worst = max(steps) / statistics.median(steps)
    found = "no cliff" if worst <= CLIFF else "**a cliff**"
    return f"- {name}: the costliest step from {least:,} on costs {worst:.2f} times the median one: {found}"


def run(model: Path) -> report.Results:
    """All sweeps of one server."""
    processors = sorted(os.sched_getaffinity(0))
    about = provenance.of(model, "python -m benchmarks.sweep") | load.provenance()
    server = ours("ours", model.parents[1], "--max-body-bytes", str(_BOUND_BYTES))
    with tempfile.TemporaryDirectory() as temporary:
        bodies = Path(temporary)
        payloads.write(bodies, {("json", 1)})
        with Running(server, processors[:1], bodies / "log") as running:
            os.sched_setaffinity(0, processors[-1:])
            sweeps = {
                "rows, one request at a time": over_rows(running),
                "bytes of a JSON row, one request at a time": over_bytes(running),
                "connections, one JSON row": over_connections(running, bodies, processors[-1]),
                "one-row requests beside huge ones": beside(running, bodies, processors[-1]),
            }
    rows, size, connections, _ = sweeps.values()
    costs = [point["processor µs"] for point in connections if point["connections"] >= 16]
    found = "no cliff" if max(costs) <= CLIFF * min(costs) else "**a cliff**"
    verdicts = [
        verdict("rows in JSON", rows, "json ms", 32),
        verdict("raw rows", rows, "raw ms", 32),
        verdict("bytes", size, "ms", BYTES[1]),
        f"- connections: from 16 on a request takes {min(costs):.0f} to {max(costs):.0f} µs of processor time: {found}",
    ]
    return {"provenance": about, "sweeps": sweeps, "verdicts": ["\n".join(verdicts)]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    given = parser.parse_args()
    report.save(given.results / "sweep.json", run(given.model))


if __name__ == "__main__":
    main()
