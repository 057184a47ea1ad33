"""Bodies crafted to be slow to parse, next to legitimate ones of the same size: do other clients have to wait?

For each: the status, the seconds until the response, the longest latency of a /health/live probe meanwhile, and the
server's peak resident set. Prints a table:

    python -m benchmarks.parsing
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import provenance
from benchmarks.servers import Running, ours

_MB: Final = 2**20
_BOUND_BYTES: Final = 16 * _MB
_JSON: Final = {"content-type": "application/json"}
_GZIP: Final = _JSON | {"content-encoding": "gzip"}
_RAW: Final = {"content-type": "application/octet-stream"}


def filled(item: bytes, size_bytes: int) -> bytes:
    """A JSON document with as many of ``item`` as inputs as fit."""
    return b'{"inputs":[%b]}' % b",".join([item] * ((size_bytes - 14) // (len(item) + 1)))


def rows(size_bytes: int, features: int) -> bytes:
    """A legitimate body of that size."""
    row = np.random.default_rng(0).integers(0, 256, features).tolist()
    return filled(json.dumps(row, separators=(",", ":")).encode(), size_bytes)


def keys(size_bytes: int) -> bytes:
    """An object of many keys, the last of which is repeated."""
    pairs = b",".join(b'"k%07d":1' % number for number in range(size_bytes // 13))
    return b'{%b,"k%07d":1}' % (pairs, size_bytes // 13 - 1)


def of(features: int) -> dict[str, tuple[bytes, dict[str, str]]]:
    """The bodies by name, with their headers, for a model with ``features`` features."""
    large = _BOUND_BYTES - 1024
    raw = np.full(large // 4 // features * features, np.nan, np.float32)
    return {
        "356 kB of rows": (rows(356_000, features), _JSON),
        "356 kB of keys, the last repeated": (keys(356_000), _JSON),
        "16 MB of rows": (rows(large, features), _JSON),
        "16 MB of rows, gzip": (gzip.compress(rows(large, features), 1), _GZIP),
        "16 MB of empty rows, gzip": (gzip.compress(filled(b"[]", large)), _GZIP),
        "16 MB of keys, the last repeated": (keys(large), _JSON),
        "one row of 16 MB": (b'{"inputs":[%b]}' % filled(b"1", large)[10:-1], _JSON),
        "a number of 16 MB": (b'{"inputs":[[%b]]}' % (b"9" * large), _JSON),
        "a string of 16 MB": (b'{"inputs":["%b"]}' % (b"x" * large), _JSON),
        "16 MB of NaN": (b'{"inputs":[[%b]]}' % b",".join([b"NaN"] * (large // 4 - 10)), _JSON),
        "16 MB of blanks": (b'{"inputs":[%b]}' % (b" " * large), _JSON),
        "16 MB of brackets": (b'{"inputs":%b' % (b"[" * large), _JSON),
        "16 MB of raw rows": (np.zeros_like(raw).tobytes(), _RAW),
        "16 MB of raw NaN": (raw.tobytes(), _RAW),
    }


def post(port: int, body: bytes, headers: dict[str, str], timeout_s: float) -> str:
    """The status of the response; "none" if there was none in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", "/predict?dtype=float32", body, headers)
        return str(connection.getresponse().status)
    except TimeoutError:
        return "none"
    finally:
        connection.close()


def probes(port: int, stop: threading.Event, timeout_s: float) -> Callable[[], float]:
    """Probe the server's health repeatedly; the function returned stops that and returns the longest latency."""
    longest_s = 0.0

    def probe() -> None:
        nonlocal longest_s
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        while not stop.is_set():
            started_s = time.perf_counter()
            try:
                connection.request("GET", "/health/live")
                connection.getresponse().read()
            except TimeoutError:
                connection.close()
            longest_s = max(longest_s, time.perf_counter() - started_s)
            time.sleep(0.002)
        connection.close()

    thread = threading.Thread(target=probe)
    thread.start()

    def result() -> float:
        stop.set()
        thread.join()
        return longest_s

    return result


def measure(model: Path, body: bytes, headers: dict[str, str], timeout_s: float) -> tuple[str, float, float, float]:
    """Status, seconds until the response, longest probe in seconds and peak memory in MB, of a new server."""
    with tempfile.TemporaryDirectory() as temporary:
        server = ours("ours", model.parents[1])
        with Running(server, [0], Path(temporary) / "log") as running:
            result = probes(server.port, threading.Event(), timeout_s)
            time.sleep(0.1)
            started_s = time.perf_counter()
            status = post(server.port, body, headers, timeout_s)
            took_s = time.perf_counter() - started_s
            longest_s = result()
            return status, took_s, longest_s, running.peak_memory_mb()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--timeout-s", type=float, default=60.0, help="seconds to wait for a response (default: 60)")
    parser.add_argument("--only", default="", help="regular expression for the names of the bodies to send")
    given = parser.parse_args()
    for name, value in provenance.of(given.model, "python -m benchmarks.parsing").items():
        print(f"- {name}: {value}")
    features = len(json.loads((given.model / "metadata.json").read_text())["features"])
    print("\n| body | bytes sent | status | s | longest probe, ms | peak memory, MB |\n|---|--:|--:|--:|--:|--:|")
    for name, (body, headers) in of(features).items():
        if re.search(given.only, name):
            status, took_s, longest_s, peak_mb = measure(given.model, body, headers, given.timeout_s)
            figures = f"{len(body):,} | {status} | {took_s:.2f} | {longest_s * 1e3:.0f} | {peak_mb:.0f}"
            print(f"| {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
