"""The composition root: builds every part from the settings, opens them in order, and closes them in reverse."""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from service import logs, metrics, settings
from service.grpc import extra
from service.health import Health
from service.heartbeats import Heartbeats
from service.http import admin, docs, openapi, page, root_path
from service.http.admin import Admin
from service.http.chosen_paths import ChosenPaths, chosen_paths
from service.http.codecs.json_codec import check_example
from service.http.limits import BodyBudget, Limits
from service.http.paths import AnyProtocol, RouteTable
from service.http.predict import Predict
from service.http.protocols.base import Served
from service.http.protocols.invocations import Invocations
from service.http.protocols.native import NativeProtocol
from service.http.protocols.open_inference_v1 import OpenInferenceV1
from service.http.protocols.open_inference_v2 import OpenInferenceV2
from service.http.root_path import RootPath
from service.http.routes import PATTERNS, add_errors, metrics_router, router
from service.http.transport.lifetime import Lifetime
from service.http.transport.middleware import Guard
from service.http.transport.prediction_cycle import FastPathContext
from service.http.transport.request_ids import RequestIds
from service.inference import drift
from service.inference.catalog import Catalog
from service.inference.loader import Bounds, Loader, Placement
from service.inference.observers import Observer
from service.inference.reports import Reports
from service.inference.repository import Repository
from service.inference.selection import Selection, parse
from service.inference.shadow import Shadows
from service.inference.watcher import Watcher
from service.lifecycle import Lifecycle, State
from service.log_writer import LAST_LINES_S, LogWriter
from service.manifest import Manifest
from service.metrics import Metrics
from service.metrics.shared_counts import SHARE_EVERY_S
from service.requests import RequestTracker, Sink
from service.settings import Settings
from service.statistics import InferenceStatistics, Totals
from service.tls.rotation import Rotation

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from service.grpc.server import GrpcServer

_CLOCK: Final = time.perf_counter
# How long a version that is being loaded at the end may take. Loading stops after it.
_LAST_LOAD_S: Final = 2.0
# A call in the batcher's thread is made to take 0.2 s. After this, and once no request waits for it, it never ends.
_STUCK_S: Final = 60.0
_DESCRIPTION: Final = "Classes with their probabilities, or numbers, from small neural networks in ONNX Runtime."


@dataclass(frozen=True, slots=True)
class Service:
    """The ASGI application, and the parts that its server needs."""

    app: FastAPI
    lifecycle: Lifecycle
    fast_path: FastPathContext
    repository: Repository
    grpc: GrpcServer | None = None
    admin: Admin | None = None


def create_app() -> FastAPI:
    """The application with its settings from the environment, for any ASGI server: ``service.app:create_app``."""
    options = settings.load([]).model_copy(update={"grpc_port": 0, "admin_port": 0})  # mlp-serve starts them
    heartbeats = Heartbeats(1)
    writer, counters = LogWriter(sys.stderr.fileno()), metrics.alone(heartbeats)
    writer.on_drop(counters.server.log_lines_dropped)
    atexit.register(writer.flush, LAST_LINES_S)
    request_log = logs.configure(options.log_level, options.log_format, writer)
    return build(options, request_log, counters, health=Health(heartbeats)).app


def build(
    options: Settings,
    request_log: logs.RequestLog | None,
    counters: Metrics,
    protocols: Sequence[AnyProtocol] = (),
    *,
    health: Health | None = None,
    tls: Rotation | None = None,
    replacement: bool = False,
) -> Service:
    """Load every model and put the service together. It also speaks ``protocols``. Raises `StartError`.

    ``health`` is what this process sees of the other workers, if there are any; ``tls`` is for gRPC. A ``replacement``
    for a worker that died leaves out a model that has no good version.
    """
    health = health or Health()
    limits = Limits(
        max_body_bytes=min(options.max_body_bytes, options.max_buffered_bytes),
        receive_timeout_s=options.receive_timeout_s,
        max_rows=min(options.max_request_rows, options.max_queue_rows),  # more would never fit the queue
    )
    catalog, repository, shadows = _models(options, counters, limits.max_rows, replacement=replacement)

    def changed(state: State) -> None:
        counters.server.start_is_over()
        health.changed(state)
        if state in {State.DRAINING, State.STOPPED}:
            shadows.close()

    lifecycle = Lifecycle(changed)
    budget = BodyBudget(options.max_buffered_bytes)
    statistics = InferenceStatistics(time.time)

    def totals(model: str, version: int) -> Totals:
        tracker.flush()
        return statistics.of(model, version)

    v2 = OpenInferenceV2(options.max_body_bytes, totals)
    table = _routes(options, v2, protocols)
    predict = Predict(repository, lifecycle, max_s=options.request_timeout_s, clock=_CLOCK, bodies=budget)
    watcher = Watcher(
        catalog,
        repository,
        interval_s=options.reload_interval_s,
        active=lambda: lifecycle.ready,
        looked=counters.versions.looked,
    )
    sinks: list[Sink] = [counters.count, statistics, *([] if request_log is None else [request_log])]

    def measure(open_requests: int) -> None:
        counters.requests.in_flight(open_requests)
        counters.queues.set(repository.waiting(), tracker.connections)

    tracker = RequestTracker(sinks, measure, _CLOCK)
    counters.queues.limits(options.max_queue_rows, options.max_queue_s)

    def exposition() -> bytes:
        tracker.flush()
        counters.queues.set(repository.waiting(), tracker.connections)
        return counters.exposition()

    def is_stuck() -> bool:
        return repository.longest_call_s() > max(_STUCK_S, options.request_timeout_s)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        # What was made at start lives as long as the process: exempt it from garbage collection.
        gc.collect()
        gc.freeze()
        lifecycle.advance(State.READY)
        repeated = (_repeat(counters.drift.share, SHARE_EVERY_S), watcher.run())
        background = [asyncio.create_task(each) for each in repeated]
        with health.beating(is_stuck):
            yield
        for task in background:
            task.cancel()
        lifecycle.advance(State.STOPPED)
        predict.close()
        if not await watcher.stop(_LAST_LOAD_S):
            _log.warning("a version is still being loaded; it is left out, as the server ends")
        tracker.flush()

    app = FastAPI(
        title="mlp-serving",
        description=_DESCRIPTION,
        version=version("mlp-serving"),
        lifespan=life,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    _include_pages(app, options, repository)
    app.include_router(router(table, predict, repository, lifecycle, health))
    add_errors(app, table, repository, f"GET {options.root_path}/docs lists every path and its methods")
    openapi.install(app, table, repository)
    ids = RequestIds()
    app.add_middleware(Guard, tracker=tracker, lifecycle=lifecycle, ids=ids, limits=limits, budget=budget)
    fast_path = FastPathContext(
        tracker,
        ids,
        limits,
        budget,
        predict,
        lifecycle,
        table,
        lifetime=Lifetime(options.max_connection_age_s, options.max_requests_per_connection),
    )
    return Service(
        app,
        lifecycle,
        fast_path,
        repository,
        _grpc(options, fast_path, Served(repository, lifecycle), v2, tls),
        _metrics_port(options, app, fast_path, repository, health, exposition),
    )


def _include_pages(app: FastAPI, options: Settings, repository: Repository) -> None:
    """Add the pages for browsers. They come first: for a browser, GET / is one of them. Tell ``app`` its prefix."""
    if options.root_path:
        app.add_middleware(RootPath, prefix=options.root_path)
    app.include_router(docs.router())
    if options.page:
        app.include_router(page.router(repository, options.models, has_live_view=not options.admin_port))


def _metrics_port(
    options: Settings,
    app: FastAPI,
    context: FastPathContext,
    repository: Repository,
    health: Health,
    exposition: Callable[[], bytes],
) -> Admin | None:
    """The admin port's application with the metrics; without an admin port ``app`` has them."""
    metrics_routes = metrics_router(exposition, metrics.CONTENT_TYPE)
    if not options.admin_port:
        app.include_router(metrics_routes)
        return None
    return admin.build(context, context.lifecycle, repository, health, metrics_routes, has_live_view=options.page)


def _grpc(
    options: Settings, context: FastPathContext, served: Served, v2: OpenInferenceV2, tls: Rotation | None
) -> GrpcServer | None:
    """gRPC's server, if there is a port for it. Raises `StartError`."""
    if not options.grpc_port:
        return None
    extra.check()
    from service.grpc import build as grpc_build  # noqa: PLC0415 - an extra, which takes a while to import

    return grpc_build.build(options, context, served, v2.resources, tls)


def _routes(options: Settings, v2: OpenInferenceV2, protocols: Sequence[AnyProtocol]) -> RouteTable:
    """All protocols, also on the paths that the platform chose. Raises `StartError` if one of these is taken."""

    def table(chosen: ChosenPaths) -> RouteTable:
        return RouteTable(
            [
                NativeProtocol(options.max_body_bytes),
                OpenInferenceV1(options.max_body_bytes, chosen.predict),
                v2,
                Invocations(options.max_body_bytes, chosen.health),
                *protocols,
            ],
            options.root_path,
        )

    found = table(chosen_paths(options.predict_route, options.health_route, table(ChosenPaths()), PATTERNS))
    patterns = [route.pattern for route in found.routes] + [resource.pattern for resource in found.resources]
    root_path.check(options.root_path, [*patterns, *PATTERNS])
    return found


def _models(
    options: Settings, counters: Metrics, max_rows: int, *, replacement: bool
) -> tuple[Catalog, Repository, Shadows]:
    """What loads versions, those that serve, and those that are compared with them. Raises `StartError`."""
    shadows = Shadows()
    candidates = parse("--shadow (MLP_SHADOW)", options.shadow) if options.shadow else {}
    selection = Selection.of(options.model, options.model_versions, candidates)

    def observers(manifest: Manifest) -> list[Observer]:
        drifting = drift.watch(
            manifest,
            counters.drift,
            features=options.drift_features,
            window_s=options.drift_window_s,
            clock=_CLOCK,
        )
        found: list[Observer] = [] if drifting is None else [drifting]
        if not selection.is_candidate(manifest.name, manifest.version):
            found += shadows.observers(manifest)
        return found

    loader = Loader(
        options.models,
        Placement(options.provider, options.precision),
        counters.models,
        Bounds(max_rows, options.max_queue_rows, options.max_queue_s, impute=options.unseen_values == "impute"),
        clock=_CLOCK,
        check_example=check_example,
        observers=observers,
    )
    for candidate in loader.load_shadows(candidates):
        shadows.add(candidate, counters.shadow, _CLOCK)
    catalog = Catalog(loader, selection, Reports(counters.versions, counters.retention), keep=options.keep_versions)
    repository = Repository(catalog.start(replacement=replacement), selection.default)
    catalog.loading = repository.loading
    shadows.check(model.manifest for model in repository)
    return catalog, repository, shadows


async def _repeat(call: Callable[[], None], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        call()
