"""Each stage of a request on its own, as a microbenchmark with warm caches: a lower bound for its cost.

    python -m benchmarks.stages [pyperf's options, such as --fast]

The stages of the fast path are measured with a prediction that responds at once, so only HTTP is left.
"""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyperf
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from benchmarks import load, payloads, provenance, report, wire
from service import artifact, logs, metrics
from service.http.admission import Arrival
from service.http.codecs import regular_json
from service.http.codecs.json_answers import encode
from service.http.codecs.json_rows import rows_from_json
from service.http.codecs.npy import rows_from_npy
from service.http.codecs.raw import rows_from_raw
from service.http.limits import BodyBudget, Limits
from service.http.messages import JSON_HEADERS, Request, Response
from service.http.options import Options
from service.http.paths import AnyProtocol, RouteTable
from service.http.predict import Predict, Reply
from service.http.protocols.native import NativeProtocol
from service.http.transport.fast_path import protocol_factory
from service.http.transport.prediction_cycle import FastPathContext
from service.http.transport.request_ids import RequestIds
from service.inference import session
from service.inference.batcher import Batcher, Costs
from service.inference.schema import Schema, fits_float32
from service.inference.session import Outputs
from service.lifecycle import Lifecycle
from service.log_writer import LogWriter
from service.manifest import Manifest
from service.requests import FLUSH_BATCH, RequestRecord, RequestTracker

Stages = dict[str, tuple[Callable[[], object], int]]

_TURN = 64
_ROUTE = "/predict"


def stages(model: Path) -> Stages:
    """Each stage's name, a function that runs it, and the number of requests per call."""
    manifest = artifact.read_manifest(model)
    schema = Schema.of(manifest, max_rows=10_000)
    found: Stages = {}
    for rows in (1, 32):
        json, raw, npy = (payloads.body(kind, rows) for kind in ("json", "raw", "npy"))
        values = payloads.rows(rows).astype(np.float64).reshape(-1)
        found |= {
            f"decode JSON, {rows} row(s)": (partial(rows_from_json, json, schema), 1),
            f"of this the numbers, {rows} row(s)": (partial(regular_json.array, json), 1),
            f"the same, not compiled, {rows} row(s)": (partial(regular_json.by_simdjson, json), 1),
            f"decode raw, {rows} row(s)": (partial(rows_from_raw, raw, "float32", schema), 1),
            f"decode npy, {rows} row(s)": (partial(rows_from_npy, npy, schema), 1),
            f"of this the check, {rows} row(s)": (partial(fits_float32, values), 1),
        }
    found[f"batch, one row of {_TURN} in a turn"] = (_batch(manifest), _TURN)
    for precision, file in (("fp32", artifact.MODEL), ("int8", artifact.MODEL_INT8)):
        features, classes = len(manifest.features), len(manifest.classes)
        live = session.build((model / file).read_bytes(), "cpu", features=features, classes=classes)
        for rows in (1, 32, 256):
            inputs = payloads.rows(rows)
            found[f"run {precision}, {rows} row(s)"] = (partial(live.run, inputs), 1)
    for rows in (1, 32):
        outputs = _outputs(rows, len(manifest.classes))
        found[f"encode, {rows} row(s)"] = (partial(encode, manifest, Options(), outputs), 1)
    return found | _transport() | _tracker()


def _outputs(rows: int, classes: int) -> Outputs:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(classes), rows).astype(np.float32)
    return Outputs(probabilities, probabilities.argmax(axis=1))


def _batch(manifest: Manifest) -> Callable[[], object]:
    """Batch one turn of one-row requests, with a network that takes no time."""
    outputs = _outputs(_TURN, len(manifest.classes))
    costs = Costs(run_s=1e-5, row_s=1e-6, inline_rows=256, batch_rows=256)
    batcher = Batcher(
        lambda _rows: outputs,
        costs,
        features=len(manifest.features),
        queue_rows=10_000,
        clock=asyncio.new_event_loop().time,
        ran=lambda *_: None,
    )
    row = payloads.rows(1)
    runner = asyncio.Runner()

    async def turn() -> None:
        for _ in range(_TURN):
            batcher.submit(row, float("inf"), lambda _: None)
        await asyncio.sleep(0)

    return lambda: runner.run(turn())


class _Constant(Predict):
    """Responds to every request at once."""

    def __init__(self) -> None:
        self._response = Response(200, JSON_HEADERS, b"{}" * 100)

    def __call__(
        self,
        _protocol: AnyProtocol,
        _request: Request,
        _record: RequestRecord,
        reply: Reply,
        _arrival: Arrival | None = None,
    ) -> None:
        reply(self._response)


def _transport() -> Stages:
    """HTTP without the prediction: a cached head, a parsed head, and an ASGI application that does nothing."""
    lifecycle = Lifecycle(changed=lambda _: None)
    tracker = RequestTracker([], lambda _: None, asyncio.new_event_loop().time)
    limits = Limits(max_body_bytes=2**24, receive_timeout_s=10.0, max_rows=10_000)
    context = FastPathContext(
        tracker, RequestIds(), limits, BodyBudget(2**28), _Constant(), lifecycle, RouteTable([NativeProtocol(2**24)])
    )
    body, runner = payloads.body("raw", 1), asyncio.Runner()

    async def connections(protocol: wire.NewProtocol) -> wire.Connections:
        return wire.Connections(wire.constant, protocol, _TURN)

    def turn(protocol: wire.NewProtocol, headers: str) -> tuple[Callable[[], object], int]:
        clients = runner.run(connections(protocol))
        request = wire.request(body, load.CONTENT_TYPES["raw"], headers=headers)
        return (lambda: runner.run(clients.turn(request))), _TURN

    return {
        "fast path, a cached head": turn(protocol_factory(context), ""),
        "fast path, a parsed head": turn(protocol_factory(context), "x-request-id: 1\r\n"),
        "bare uvicorn's ASGI": turn(HttpToolsProtocol, ""),
    }


def _tracker() -> Stages:
    """Metrics and log of as many requests as are flushed together under load."""
    records = []
    for number in range(FLUSH_BATCH):
        record = RequestRecord("POST", _ROUTE, f"0123456789ab-{number}", 0.0)
        record.route, record.status, record.model, record.version, record.rows = _ROUTE, 200, "fashion-mnist", 1, 1
        record.duration_s = record.queue_s = 1e-3 + number * 1e-6
        records.append(record)
    log = logs.configure("info", "json", LogWriter(os.open(os.devnull, os.O_WRONLY)))
    assert log is not None
    registry = metrics.alone()
    return {
        "count a request": (lambda: registry.count(records), FLUSH_BATCH),
        "log a request": (lambda: log(records), FLUSH_BATCH),
    }


def main() -> None:
    """The command line: pyperf's options and ours; pyperf measures in subprocesses."""

    def pass_on(command: list[str], given: Namespace) -> None:
        command += ["--model", str(given.model)]

    runner = pyperf.Runner(processes=5, values=5, program_args=("-m", "benchmarks.stages"), add_cmdline_args=pass_on)
    parser: ArgumentParser = runner.argparser
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    given = runner.parse_args()
    found: dict[str, Any] = {}
    for name, (function, requests) in stages(given.model).items():
        measured = runner.bench_func(name, function, inner_loops=requests)
        if measured is not None and not runner.args.worker:
            found[name] = {"median_us": measured.median() * 1e6, "mad_us": measured.median_abs_dev() * 1e6}
    if found:
        about = provenance.of(given.model, "python -m benchmarks.stages")
        report.save(given.results / "stages.json", {"provenance": about, "stages": found})


if __name__ == "__main__":
    main()
