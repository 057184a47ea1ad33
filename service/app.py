"""The composition root: builds every part from the settings, opens them in order, and closes them in reverse."""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI

from service import logs, metrics, settings
from service.edge import Edge
from service.errors import StartError
from service.grpc import extra
from service.health import Health
from service.heartbeats import Heartbeats
from service.http import admin, docs, metrics_route, openapi, page, root_path
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
from service.http.routes import PATTERNS, add_errors, router
from service.http.transport.lifetime import Lifetime
from service.http.transport.middleware import Guard
from service.http.transport.prediction_cycle import FastPathContext
from service.http.transport.request_ids import RequestIds
from service.http.transport.responses import ResponseEncoder
from service.inference import build as inference_build
from service.inference.repository import Repository
from service.inference.shadow import Shadows
from service.inference.watcher import Watcher
from service.keys.buckets import Buckets
from service.lifecycle import Lifecycle, State
from service.log_writer import LAST_LINES_S, LogWriter
from service.metrics import Metrics
from service.metrics.scrapes import Scrapes
from service.metrics.shared_counts import SHARE_EVERY_S
from service.metrics.text_formats import Format
from service.payloads.files import PayloadFiles
from service.payloads.payload_log import PayloadLog
from service.requests import RequestTracker, Sink
from service.settings import Settings
from service.statistics import InferenceStatistics, Totals
from service.tls.rotation import Rotation
from service.tracing import options as tracing_options

if TYPE_CHECKING:
    from service.grpc.server import GrpcServer
    from service.tracing.build import RequestSpans

_log = logging.getLogger(__name__)

_CLOCK: Final = time.perf_counter
_VERSION: Final = version("mlp-serving")
# How long the end waits for a version that is being loaded.
_LAST_LOAD_S: Final = 2.0
# A call of a network that takes longer than this, and than any request may, hangs: it is planned to take 0.2 s.
_STUCK_S: Final = 60.0
# How long sending the last spans and writing the last payloads may take together; the payloads may take half of it.
_LAST_S: Final = 2.0
_DESCRIPTION: Final = "Classes with their probabilities, or numbers, from small neural networks in ONNX Runtime."


@dataclass(frozen=True, slots=True)
class Service:
    """The ASGI application, and the parts that its server needs.

    ``close`` hands over what the last requests left to be logged and sent, within 2 s. The application calls it at
    the end of its lifespan; it may be called again.
    """

    app: FastAPI
    lifecycle: Lifecycle
    fast_path: FastPathContext
    repository: Repository
    grpc: GrpcServer | None
    admin: Admin | None
    close: Callable[[], None]


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
    buckets: Buckets | None = None,
) -> Service:
    """Load every model and put the service together. It also speaks ``protocols``. Raises `StartError`.

    ``health`` is what this process sees of the other workers, if there are any; ``tls`` is for gRPC. A ``replacement``
    for a worker that died leaves out a model that has no good version. ``buckets`` are the API keys' limits, shared by
    all workers.
    """
    health = health or Health()
    limits = Limits(
        max_body_bytes=min(options.max_body_bytes, options.max_buffered_bytes),
        receive_timeout_s=options.receive_timeout_s,
        max_rows=min(options.max_request_rows, options.max_queue_rows),  # more would never fit the queue
    )
    spans, payloads = _spans(counters), _payloads(options, counters)
    edge = Edge.of(options, buckets or Buckets())
    catalog, repository, shadows = inference_build.build(
        options, counters, limits.max_rows, clock=_CLOCK, check_example=check_example, replacement=replacement
    )
    lifecycle = _lifecycle(counters, health, shadows)
    budget = BodyBudget(options.max_buffered_bytes)
    statistics = InferenceStatistics(time.time)

    def totals(model: str, version: int) -> Totals:
        tracker.flush()
        return statistics.of(model, version)

    v2 = OpenInferenceV2(options.max_body_bytes, totals)
    table = _routes(options, v2, protocols)
    predict = Predict(
        repository, lifecycle, max_s=options.request_timeout_s, clock=_CLOCK, bodies=budget, payloads=payloads
    )
    watcher = Watcher(
        catalog,
        repository,
        interval_s=options.reload_interval_s,
        active=lambda: lifecycle.ready,
        looked=counters.versions.looked,
    )

    def measure(open_requests: int) -> None:
        counters.requests.in_flight(open_requests)
        counters.queues.set(repository.waiting(), tracker.connections)

    # The spans come first: the others see the traces that they begin.
    sinks: tuple[Sink | None, ...] = (spans, counters.count, statistics, request_log)
    tracker = RequestTracker([sink for sink in sinks if sink is not None], measure, _CLOCK)
    close = partial(_close, tracker, spans, payloads)
    counters.queues.limits(options.max_queue_rows, options.max_queue_s)

    def scrape() -> Callable[[Format], bytes]:
        tracker.flush()
        counters.queues.set(repository.waiting(), tracker.connections)
        return counters.scrape()

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        # What was made at start lives as long as the process: exempt it from garbage collection.
        gc.collect()
        gc.freeze()
        lifecycle.advance(State.READY)
        repeated = [_repeat(counters.share, SHARE_EVERY_S), watcher.run(), *edge.background()]
        background = [asyncio.create_task(each) for each in repeated]
        with health.beating(lambda: repository.longest_call_s() > max(_STUCK_S, options.request_timeout_s)):
            yield
        for task in background:
            task.cancel()
        lifecycle.advance(State.STOPPED)
        predict.close()
        if not await watcher.stop(_LAST_LOAD_S):
            _log.warning("a version is still being loaded; it is left out, as the server ends")
        close()

    app = FastAPI(
        title="mlp-serving",
        description=_DESCRIPTION,
        version=_VERSION,
        lifespan=life,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    _include_routes(app, options, table, repository, router(table, predict, repository, lifecycle, health))
    ids = RequestIds()
    edge.add_to(app, table, predict.identify)
    if options.root_path:  # around the keys, which know public paths without it
        app.add_middleware(RootPath, prefix=options.root_path)
    app.add_middleware(
        Guard,
        tracker=tracker,
        lifecycle=lifecycle,
        ids=ids,
        limits=limits,
        budget=budget,
        proxies=edge.proxies,
        cors=edge.cors,
    )
    fast_path = FastPathContext(
        tracker,
        ids,
        limits,
        budget,
        predict,
        lifecycle,
        table,
        lifetime=Lifetime(options.max_connection_age_s, options.max_requests_per_connection),
        access=edge.access,
        proxies=edge.proxies,
        cors=edge.cors,
        compression=edge.compression,
        encoder=ResponseEncoder(options.keep_alive_timeout_s),
    )
    grpc = _grpc(options, fast_path, Served(repository, lifecycle), v2, tls)
    admin_port = _metrics_port(options, app, fast_path, repository, health, metrics_route.router(Scrapes(scrape)))
    return Service(app, lifecycle, fast_path, repository, grpc, admin_port, close)


def _spans(counters: Metrics) -> RequestSpans | None:
    """What makes spans, if the environment asks for them. Raises `StartError`."""
    chosen = tracing_options.from_environment(os.environ)
    if chosen is None:
        return None
    from service.tracing import build as tracing_build  # noqa: PLC0415 - an extra

    return tracing_build.build(chosen, counters.server.spans_dropped, _CLOCK)


def _lifecycle(counters: Metrics, health: Health, shadows: Shadows) -> Lifecycle:
    def changed(state: State) -> None:
        counters.server.start_is_over()
        health.changed(state)
        if state in {State.DRAINING, State.STOPPED}:
            shadows.close()

    return Lifecycle(changed)


def _close(tracker: RequestTracker, spans: RequestSpans | None, payloads: PayloadLog | None) -> None:
    tracker.flush()
    ends_at_s = time.monotonic() + _LAST_S
    if payloads is not None:
        payloads.close(_LAST_S / 2)
    if spans is not None:
        spans.close(ends_at_s - time.monotonic())


def _payloads(options: Settings, counters: Metrics) -> PayloadLog | None:
    """What logs rows and answers, if there is a folder for them. Raises `StartError`."""
    if options.payload_log is None:
        return None
    try:
        files = PayloadFiles(options.payload_log, options.payload_log_max_bytes)
    except OSError as error:
        raise StartError(
            f"--payload-log (MLP_PAYLOAD_LOG) is {str(options.payload_log)!r}: {error.strerror}; choose a folder that "
            "this user can write"
        ) from error
    return PayloadLog(files, options.payload_sample, counters.server.payloads_dropped)


def _include_routes(
    app: FastAPI, options: Settings, table: RouteTable, repository: Repository, routes: APIRouter
) -> None:
    """Add ``routes`` and the pages for browsers, which come first: for a browser, GET / is one of them."""
    app.include_router(docs.router())
    if options.page:
        app.include_router(page.router(repository, options.models, has_live_view=not options.admin_port))
    app.include_router(routes)
    add_errors(app, table, repository, f"GET {options.root_path}/docs lists every path and its methods")
    openapi.install(app, table, repository)


def _metrics_port(
    options: Settings,
    app: FastAPI,
    context: FastPathContext,
    repository: Repository,
    health: Health,
    metrics_routes: APIRouter,
) -> Admin | None:
    """The admin port's application with the metrics; without an admin port ``app`` has them."""
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


async def _repeat(call: Callable[[], None], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        call()
