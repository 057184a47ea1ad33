"""What gRPC costs beside grpcio's own ceiling and our raw rows over HTTP: python -m benchmarks.rpcs

Servers on one processor, clients on another. The ceiling is grpcio's asyncio server that answers ModelInfer with as
many bytes as we do, without reading the request. HTTP is loaded by wrk, gRPC by a client in Python, which takes as long
as a server: compare the processor time of a server per request first. The cases take turns. Nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks import load, payloads, provenance
from benchmarks.markdown import listed, table
from benchmarks.servers import Running, Server, free_port, ours
from service.grpc.messages import message

_RAW: Final = "raw rows over HTTP"
_CEILING: Final = "grpcio's own ceiling"
_ANSWER: Final = {1: 120, 32: 1900}  # bytes of our answers
Figures = dict[str, list[float]]


class RunningGrpc(Running):
    """A server without HTTP."""

    def _responds(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.server.port)) == 0


def request(rows: int, *, typed: bool) -> bytes:
    """A ModelInferRequest with these rows."""
    pixels = payloads.rows(rows)
    tensor: dict[str, object] = {"name": "inputs", "datatype": "FP32", "shape": pixels.shape}
    if typed:
        tensor["contents"] = {"fp32_contents": pixels.ravel().tolist()}
    found = message("ModelInferRequest")(
        model_name="fashion-mnist",
        inputs=[tensor],
        outputs=[{"name": "probabilities"}, {"name": "prediction"}, {"name": "label"}],
        raw_input_contents=[] if typed else [pixels.astype(np.float32).tobytes()],
    )
    content: bytes = found.SerializeToString()
    return content


def run_of(running: Running, port: int, body: Path, concurrency: int, seconds: int, processor: int) -> dict[str, float]:
    """One run of the gRPC client on ``processor``: requests per second, and the server's microseconds per request."""
    command = ["taskset", "--cpu-list", str(processor), sys.executable, "-m", "benchmarks.grpc_load", "ask"]
    command += [f"127.0.0.1:{port}", str(body), str(concurrency), str(seconds)]
    before_s = running.processor_s()
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=provenance.ROOT).stdout
    used_s = running.processor_s() - before_s
    run = json.loads(output)
    return {"requests_s": run["requests"] / run["duration_s"], "processor_us": used_s / run["requests"] * 1e6}


def measured(rows: int, concurrency: int, rounds: int, seconds: int) -> Mapping[str, Figures]:
    """Both figures of each case, one a round."""
    own, client = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        grpc_port, ceiling_port = free_port(), free_port()
        arguments = ("--log-level", "warning", "--grpc-port", str(grpc_port))
        service = stack.enter_context(
            Running(ours("ours", provenance.ROOT / "models", *arguments), [own], folder / "log", provenance.ROOT)
        )
        command = (sys.executable, "-m", "benchmarks.grpc_load", "serve", str(ceiling_port), str(_ANSWER[rows]))
        ceiling = stack.enter_context(
            RunningGrpc(Server(_CEILING, command, ceiling_port), [own], folder / "echo", provenance.ROOT)
        )
        for name, content in (("raw", request(rows, typed=False)), ("typed", request(rows, typed=True))):
            (folder / name).write_bytes(content)
        (folder / f"raw-{rows}").write_bytes(payloads.body("raw", rows))
        headers = {"Content-Type": "application/octet-stream"}
        cases = {
            _RAW: lambda: load.measure_path(
                service, "/predict?dtype=float32", headers, folder / f"raw-{rows}", concurrency, seconds, client
            ),
            _CEILING: lambda: run_of(ceiling, ceiling_port, folder / "raw", concurrency, seconds, client),
            "ModelInfer, raw": lambda: run_of(service, grpc_port, folder / "raw", concurrency, seconds, client),
            "ModelInfer, typed": lambda: run_of(service, grpc_port, folder / "typed", concurrency, seconds, client),
        }
        for turn in range(rounds + 1):  # the first round warms up and does not count
            for name in list(cases)[:: 1 if turn % 2 else -1]:
                run = cases[name]()
                if turn:
                    for figure in ("requests_s", "processor_us"):
                        found.setdefault(name, {}).setdefault(figure, []).append(run[figure])
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.rpcs", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", choices=sorted(_ANSWER), default=[1, 32])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 64], help="RPCs in flight (default: 1 64)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each case (default: 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one run (default: 2)")
    given = parser.parse_args()
    print(listed(provenance.of(provenance.MODEL, " ".join(sys.argv))))
    lines = []
    for rows in given.rows:
        for concurrency in given.concurrency:
            for name, figures in sorted(measured(rows, concurrency, given.rounds, given.seconds).items()):
                values = [f"{median(figures[figure]):,.0f}" for figure in ("requests_s", "processor_us")]
                lines.append((str(rows), str(concurrency), name, *values))
    print(table((">rows", ">in flight", "case", ">requests/s", ">server µs/request"), lines))


if __name__ == "__main__":
    main()
