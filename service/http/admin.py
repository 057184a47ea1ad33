"""The application of the admin port: metrics, live view, probes and the models' states; no predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from fastapi import APIRouter, FastAPI

from service.health import Health
from service.http import live_view, routes
from service.http.limits import BodyBudget
from service.http.paths import RouteTable
from service.http.transport.connection import ConnectionContext
from service.http.transport.middleware import Guard
from service.inference.repository import Repository
from service.lifecycle import Lifecycle

# No request here has a body. Heads have their own budget, so that neither port can use up the other's.
_MAX_BODY_BYTES: Final = 1024
_MAX_BUFFERED_BYTES: Final = 4 * 1024**2
_PATHS: Final = "this port has GET /metrics, /status, /models and /health/ready; predictions have their own port"


class Admin(NamedTuple):
    """The application, and what its connections share."""

    app: FastAPI
    context: ConnectionContext


def build(
    traffic: ConnectionContext,
    lifecycle: Lifecycle,
    repository: Repository,
    health: Health,
    metrics: APIRouter,
    *,
    has_live_view: bool,
) -> Admin:
    """Put the application together. Its requests count with those of ``traffic``."""
    limits = replace(traffic.limits, max_body_bytes=_MAX_BODY_BYTES)
    context = ConnectionContext(
        traffic.tracker,
        traffic.ids,
        limits,
        BodyBudget(_MAX_BUFFERED_BYTES),
        proxies=traffic.proxies,
        encoder=traffic.encoder,
    )
    app = FastAPI(title="mlp-serving: admin", redirect_slashes=False, openapi_url=None)
    if has_live_view:
        app.include_router(live_view.router_alone())
    app.include_router(metrics)
    app.include_router(routes.admin_router(repository, lifecycle, health))
    routes.add_errors(app, RouteTable([]), repository, _PATHS)
    app.add_middleware(
        Guard,
        tracker=context.tracker,
        lifecycle=lifecycle,
        ids=context.ids,
        limits=limits,
        budget=context.budget,
        proxies=context.proxies,
    )
    return Admin(app, context)
