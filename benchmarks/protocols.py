"""What the other protocols cost beside our own: python -m benchmarks.protocols

One server with the shipped model on one processor, wrk on another, 64 connections. The cases take turns, and the order
changes every round. Prints requests per second and processor time per request of each case and its base, and the
median of each round's ratio with a 95 % bootstrap interval: V2 binary beside raw rows, V2 JSON and V1 beside our own
JSON. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from benchmarks import load, payloads, provenance
from benchmarks.change import Pairs, shown
from benchmarks.servers import Running, ours

CONNECTIONS: Final = 64
_JSON: Final = {"Content-Type": "application/json"}
_V2: Final = "/v2/models/fashion-mnist/infer"


class Case(NamedTuple):
    """A request: where it goes, with which headers and body, and the case it is compared with."""

    path: str
    headers: dict[str, str]
    body: bytes
    base: str | None = None


def cases(rows: int) -> dict[str, Case]:
    """The same rows in each protocol."""
    raw, json = payloads.body("raw", rows), payloads.body("json", rows)
    head = orjson.dumps(
        {
            "inputs": [
                {
                    "name": "inputs",
                    "shape": [rows, payloads.FEATURES],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    )
    length = {"Inference-Header-Content-Length": str(len(head))}
    instances = json.replace(b"inputs", b"instances", 1)
    return {
        "raw": Case("/predict?dtype=float32", {"Content-Type": "application/octet-stream"}, raw),
        "JSON": Case("/predict", _JSON, json),
        "V2 binary": Case(_V2, length, head + raw, "raw"),
        "V2 JSON": Case(_V2, _JSON, payloads.body("oip", rows), "JSON"),
        "V1": Case("/v1/models/fashion-mnist:predict", _JSON, instances, "JSON"),
    }


def measured(row_counts: list[int], rounds: int, seconds: int) -> Pairs:
    """Both figures of the base and of each case, one pair a round."""
    own, wrk = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    pairs: Pairs = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server = ours("ours", provenance.ROOT / "models", "--log-level", "warning")
        with Running(server, [own], folder / "log", provenance.ROOT) as running:
            for turn in range(rounds + 1):  # the first round warms up and does not count
                for rows in row_counts:
                    each = cases(rows)
                    found: dict[str, dict[str, float]] = {}
                    for name in list(each)[:: 1 if turn % 2 else -1]:
                        file = folder / "body"
                        file.write_bytes(each[name].body)
                        run = load.measure_path(
                            running, each[name].path, each[name].headers, file, CONNECTIONS, seconds, wrk
                        )
                        assert not run["failed"], f"{run['failed']} requests failed"
                        found[name] = run
                    for name, case in each.items():
                        if turn and case.base is not None:
                            for figure in ("requests_s", "processor_us"):
                                pair = found[case.base][figure], found[name][figure]
                                pairs.setdefault(f"{figure}, {name} over {case.base}, rows: {rows}", []).append(pair)
                print(f"round {turn} of {rounds}", file=sys.stderr)
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.protocols", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32], help="rows in a request (default: 1 32)")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one measurement (default: 1)")
    given = parser.parse_args()
    print(
        "\n".join(f"- {name}: {value}" for name, value in provenance.of(provenance.MODEL, " ".join(sys.argv)).items())
    )
    print(shown(measured(given.rows, given.rounds, given.seconds)))


if __name__ == "__main__":
    main()
