"""Full load of mixed requests for minutes: every response correct, none lost, constant memory, a clean exit.

    python -m benchmarks.soak --minutes 10

wrk keeps 64 connections busy with valid and invalid requests of every kind, whose responses are known to the byte. At
the same time there are requests of 10,000 rows, clients that hang up or are slow, and scrapes.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import orjson

from benchmarks import load, payloads, provenance, report, wire
from benchmarks.servers import HERE, Running, ours

# Allowed growth of the minimum memory from the second to the last quarter; the maximum depends on requests in flight.
GROWTH_MB: Final = 8.0
_CONNECTIONS: Final = 64
_PAUSE_S: Final = 0.05


@dataclass(frozen=True)
class Case:
    """One of the requests; those whose name begins with ``anonymous`` are sent without an id."""

    name: str
    body: bytes
    status: int = 200
    path: str = "/predict"
    kind: str = "application/json"
    encoding: str = "-"


def cases(name: str) -> Iterator[Case]:
    """Requests of every kind to the model ``name``: rows in each format, options, and invalid requests."""
    row, pixels = payloads.rows(1)[0].tolist(), payloads.rows(32)
    raw, npy = (load.CONTENT_TYPES[kind] for kind in ("raw", "npy"))
    yield Case("anonymous-json", payloads.body("json", 1))
    yield Case("anonymous-raw", pixels[1:2].tobytes(), path="/predict?dtype=float32", kind=raw)
    for index, count in enumerate((1, 1, 1, 2, 7, 32)):
        yield Case(f"json-{index}", orjson.dumps({"inputs": pixels[index : index + count].tolist()}))
        yield Case(f"raw-{index}", pixels[index : index + count].tobytes(), path="/predict?dtype=float32", kind=raw)
    yield Case("npy", payloads.body("npy", 32), kind=npy)
    yield Case("nested", orjson.dumps({"instances": pixels[:3].reshape(3, 28, 28).tolist()}))
    yield Case("options", payloads.body("json", 1), path=f"/models/{name}/predict?top_k=3&probabilities=false")
    yield Case("gzip", gzip.compress(payloads.body("json", 1)), encoding="gzip")
    yield Case("null", orjson.dumps({"inputs": [[None, *row[1:]]]}), 422)
    yield Case("ragged", orjson.dumps({"inputs": [row[:-1], [*row, 0.0]]}), 422)
    yield Case("nan", np.full((1, 784), np.nan, "<f4").tobytes(), 422, path="/predict?dtype=float32", kind=raw)
    yield Case("not-json", b'{"inputs": [', 400)
    yield Case("unknown-model", payloads.body("json", 1), 404, path="/models/other/predict")
    yield Case("unknown-type", b"1,2,3", 415, kind="text/csv")
    yield Case("no-rows", b" " * 100_000 + b"{}", 422)


def write(folder: Path, running: Running, model: Path) -> None:
    """Write the requests and the idle server's responses, whose classes must be those of ONNX Runtime."""
    session = onnxruntime.InferenceSession(model / "model.int8.onnx", providers=["CPUExecutionProvider"])
    expected = session.run(["prediction"], {"inputs": payloads.rows(32)})[0].tolist()
    lines = []
    for case in cases(model.parent.name):
        status, content = _post(running.server.port, case)
        assert status == case.status, f"{case.name} gets {status}: {content[:300]!r}"
        if status == 200:
            found = orjson.loads(content)["classes"]
            assert any(found == expected[first : first + len(found)] for first in range(32)), f"{case.name}: {found}"
        (folder / f"{case.name}.body").write_bytes(case.body)
        (folder / f"{case.name}.answer").write_bytes(content)
        lines.append(f"{case.name} {case.path} {case.kind} {case.encoding} {case.status}\n")
    (folder / "index").write_text("".join(lines))


def _post(port: int, case: Case) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"content-type": case.kind, "x-request-id": case.name}
    if case.encoding != "-":
        headers["content-encoding"] = case.encoding
    connection.request("POST", case.path, case.body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


class UnusualClients:
    """Huge requests, hang-ups, slow clients and scrapes, one at a time in a thread until `stop`."""

    def __init__(self, running: Running, model: Path) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._running = running
        self._huge = np.tile(payloads.rows(100), (100, 1)).tobytes()
        session = onnxruntime.InferenceSession(model / "model.int8.onnx", providers=["CPUExecutionProvider"])
        self._classes = session.run(["prediction"], {"inputs": payloads.rows(100)})[0].tolist() * 100
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Wait for the current client to finish."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        clients = (self._huge_request, self._hang_up, self._be_slow, self._scrape)
        while not self._stop.is_set():
            client = random.choice(clients)  # noqa: S311 - no secret
            try:
                client()
            except Exception as error:  # noqa: BLE001 - the soak reports any
                self.failures.append(f"{client.__name__}: {error!r}")
            self.done[client.__name__.strip("_").replace("_", " ")] += 1
            self._stop.wait(_PAUSE_S)

    def _huge_request(self) -> None:
        content = self._running.post(self._huge, load.CONTENT_TYPES["raw"], "?dtype=float32&probabilities=false")
        assert orjson.loads(content)["classes"] == self._classes

    def _hang_up(self) -> None:
        request = wire.request(payloads.body("json", 32), "application/json")
        with socket.create_connection(("127.0.0.1", self._running.server.port)) as connection:
            connection.sendall(request[: random.randrange(len(request) + 1)])  # noqa: S311 - no secret

    def _be_slow(self) -> None:
        request = wire.request(payloads.body("json", 1), "application/json")
        with socket.create_connection(("127.0.0.1", self._running.server.port), timeout=30) as connection:
            for piece in (request[:50], request[50:1000], request[1000:]):
                connection.sendall(piece)
                time.sleep(_PAUSE_S)
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")

    def _scrape(self) -> None:
        with socket.create_connection(("127.0.0.1", self._running.server.port), timeout=30) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b'status="500"' not in text, "a request got status 500"


def soak(model: Path, seconds: int) -> dict[str, Any]:
    """Load one server for ``seconds``; the figures of wrk, the other clients, and the server."""
    processors = sorted(os.sched_getaffinity(0))
    server = ours("ours", model.parents[1], "--precision", "int8", "--max-body-bytes", str(64 * 1024**2))
    memory_mb: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Running(server, processors[:1], folder / "log") as running:
            os.sched_setaffinity(0, processors[-1:])
            write(folder, running, model)
            command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s"]
            command += ["-s", str(HERE / "soak.lua"), f"http://127.0.0.1:{server.port}"]
            environment = os.environ | {"CASES": temporary}
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as wrk:
                unusual = UnusualClients(running, model)
                output = None
                while output is None:
                    with suppress(subprocess.TimeoutExpired):
                        output, _ = wrk.communicate(timeout=1)
                    memory_mb.append(running.memory_mb())
                unusual.stop()
            assert wrk.returncode == 0, output
            status = running.stop()
    run: dict[str, Any] = json.loads(output.splitlines()[-1])
    return run | {
        "unusual": dict(unusual.done),
        "failures": unusual.failures,
        "memory_mb": memory_mb,
        "exit status": status,
    }


def evaluate(found: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    """The totals, and the faults found in them."""
    quarter = max(len(found["memory_mb"]) // 4, 1)
    early, late = (min(found["memory_mb"][part]) for part in (slice(quarter, 2 * quarter), slice(-quarter, None)))
    totals: dict[str, float] = {
        "minutes": found["duration_s"] / 60,
        "requests": found["requests"],
        "requests/s": round(found["requests"] / found["duration_s"]),
        "p50 ms": found["p50_ms"],
        "p99 ms": found["p99_ms"],
        "wrong responses": found["wrong"],
        "lost requests": found["lost"],
        **found["unusual"],
        "of these failed": len(found["failures"]),
        "least memory in the second quarter, MB (PSS)": early,
        "least memory in the last quarter, MB (PSS)": late,
        "most memory, MB (PSS)": max(found["memory_mb"]),
    }
    grown_mb = late - early
    faults = {
        f"{found['wrong']} responses were wrong": found["wrong"],
        f"{found['lost']} requests were lost": found["lost"],
        f"memory grew by {grown_mb:.1f} MB, at most {GROWTH_MB:g} are allowed": grown_mb > GROWTH_MB,
        f"the server ended with exit status {found['exit status']}": found["exit status"],
    }
    return totals, [*(fault for fault, occurred in faults.items() if occurred), *found["failures"][:3]]


def main() -> int:
    """The command line; exit status 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="duration (default: 10)")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve, with int8")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    given = parser.parse_args()
    about = provenance.of(given.model, f"python -m benchmarks.soak --minutes {given.minutes:g}") | load.provenance()
    totals, faults = evaluate(soak(given.model, round(given.minutes * 60)))
    passed = f"passed; the least memory of a quarter may grow by {GROWTH_MB:g} MB"
    verdict = f"failed: {'; '.join(faults)}" if faults else passed
    report.save(given.results / "soak.json", {"provenance": about, "totals": totals, "verdict": verdict})
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
