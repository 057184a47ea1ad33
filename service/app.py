"""The one file that knows every part: builds them from the settings, opens them in order, closes them in reverse."""

from __future__ import annotations

import atexit
import gc
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import orjson
from fastapi import FastAPI

from service import artifact, logs, metrics, settings
from service.errors import ModelRefused, RequestError
from service.http.codecs.json_rows import rows_from_json
from service.http.limits import BodyBudget
from service.http.predict import Predict
from service.http.routes import add_problems, router
from service.http.transport.fast_path import FastPathContext
from service.http.transport.middleware import Bounds, Guard, RequestIds
from service.inference.batcher import Batcher, Costs, Run
from service.inference.repository import Model, Placement, Repository, load
from service.inference.schema import Schema
from service.lifecycle import Lifecycle, State
from service.log_writer import LAST_LINES_S, LogWriter
from service.manifest import REGRESSION, ArtifactError, Manifest
from service.metrics import Metrics
from service.requests import RequestTracker, Sink
from service.settings import Settings

_CLOCK: Final = time.perf_counter
_DESCRIPTION: Final = "Classes with their probabilities, or numbers, from small neural networks in ONNX Runtime."


@dataclass(frozen=True, slots=True)
class Service:
    """The ASGI application, the state of its life, which the server that runs it moves on, and its express door."""

    app: FastAPI
    lifecycle: Lifecycle
    fast_path: FastPathContext


def create_app() -> FastAPI:
    """The application with its settings from the environment, for any ASGI server: ``service.app:create_app``."""
    chosen = settings.load([])
    writer, counted = LogWriter(sys.stderr.fileno()), metrics.alone()
    writer.on_drop(counted.log_lines_dropped)
    atexit.register(writer.flush, LAST_LINES_S)
    return build(chosen, logs.configure(chosen.log_level, chosen.log_format, writer), counted).app


def build(chosen: Settings, request_log: logs.RequestLog | None, counted: Metrics) -> Service:
    """Load and prove every model, then put the service together. Raises `StartError`."""
    repository = Repository(_load_all(chosen, counted), chosen.model)

    def changed(state: State) -> None:
        counted.state(ready=state is State.READY, answering=state in {State.READY, State.DRAINING})

    lifecycle = Lifecycle(changed)
    bodies = BodyBudget(chosen.max_held_bytes)
    predict = Predict(
        repository,
        lifecycle,
        max_body_bytes=chosen.max_body_bytes,
        max_rows=min(chosen.max_request_rows, chosen.max_queue_rows),  # more would never find room
        longest_s=chosen.request_timeout_s,
        clock=_CLOCK,
        bodies=bodies,
    )
    sinks: list[Sink] = [counted.requests]
    if request_log is not None:
        sinks.append(request_log)
    tracker = RequestTracker(sinks, counted.in_flight, _CLOCK)

    def exposition() -> bytes:
        tracker.flush()
        return counted.exposition()

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        # What start-up made lives as long as the process: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        lifecycle.advance(State.READY)
        yield
        lifecycle.advance(State.STOPPED)
        predict.close()
        tracker.flush()

    app = FastAPI(
        title="mlp-serving",
        description=_DESCRIPTION,
        version=version("mlp-serving"),
        lifespan=life,
        redirect_slashes=False,
    )
    app.include_router(router(predict, repository, lifecycle, exposition, metrics.CONTENT_TYPE))
    add_problems(app)
    ids = RequestIds()
    bounds = Bounds(min(chosen.max_body_bytes, chosen.max_held_bytes), chosen.receive_timeout_s)
    app.add_middleware(Guard, tracker=tracker, lifecycle=lifecycle, ids=ids, bounds=bounds, bodies=bodies)
    return Service(app, lifecycle, FastPathContext(predict, tracker, lifecycle, ids, bounds, bodies))


def _load_all(chosen: Settings, counted: Metrics) -> list[Model]:
    def make_batcher(manifest: Manifest, run: Run, costs: Costs) -> Batcher:
        served = manifest.name, manifest.version
        if manifest.task == REGRESSION:
            ran = counted.regressions(*served, manifest.targets)
        else:
            ran = counted.batches(*served, manifest.label_texts)
        return Batcher(
            run,
            costs,
            features=len(manifest.features),
            queue_rows=chosen.max_queue_rows,
            clock=_CLOCK,
            ran=ran,
            dtype=manifest.graph_dtype,
        )

    try:
        names = artifact.model_names(chosen.models)
    except ArtifactError as error:
        raise ModelRefused(str(error)) from error
    if not names:
        raise ModelRefused(f"models folder {str(chosen.models)!r} is empty; publish a model with: make train")
    models, placement = [], Placement(chosen.provider, chosen.precision)
    for name in names:
        try:
            model = load(chosen.models, name, placement, make_batcher)
            _check_example(model, chosen)
        except ModelRefused:
            counted.refused(name)
            raise
        counted.loaded(name, model.manifest.version, model.provider, model.precision, model.load_s)
        counted.fallback(name, on_cpu=chosen.provider != "cpu" and model.provider == "cpu")
        models.append(model)
    return models


def _check_example(model: Model, chosen: Settings) -> None:
    """The documentation shows the example as a request that works. Raises `ModelRefused` where it is none."""
    manifest = model.manifest
    try:
        orjson.loads(model.example)  # stricter than the reader of requests, which explains what it does not take
        rows_from_json(model.example, Schema.of(manifest, chosen.max_request_rows))
    except (ValueError, RequestError) as error:
        path = chosen.models / manifest.name / str(manifest.version) / artifact.EXAMPLE
        raise ModelRefused(f"{path} is no request that the model takes ({error}); publish the model again") from error
