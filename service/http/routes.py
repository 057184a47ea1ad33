"""The ASGI application's paths, and the errors that FastAPI and Starlette raise themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse

from service.errors import MethodNotAllowed, NotFound, RequestError
from service.health import Health
from service.http import messages, openapi, page, problems
from service.http.admission import LARGE_BYTES, Arrival
from service.http.model_document import describe
from service.http.paths import AnyProtocol, ResourceRoute, Route, RouteTable
from service.http.predict import Pending, Predict
from service.http.protocols.base import Served
from service.inference.repository import Repository
from service.inference.versions import State as VersionState
from service.lifecycle import Lifecycle, State
from service.requests import RequestRecord

_MODEL: Final = "/models/{name}"
# The paths that no protocol has.
PATTERNS: Final = (
    *("/models", _MODEL, "/health/live", "/health/ready", "/health/startup", "/metrics"),
    *("/docs", "/docs/{file}", "/openapi.json", *page.PATTERNS),
)

_AN_OBJECT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}}
}


def router(
    table: RouteTable,
    predict: Predict,
    repository: Repository,
    lifecycle: Lifecycle,
    health: Health,
) -> APIRouter:
    """The predictions, what is known of the models, and the probes."""
    routes = APIRouter()
    for route in table.routes:
        _add_prediction(routes, route, predict)
    served = Served(repository, lifecycle, health.unready)
    for resource in table.resources:
        _add_resource(routes, resource, served)
    _add_models(routes, repository)
    _add_health(routes, lifecycle, health)
    return routes


def admin_router(repository: Repository, lifecycle: Lifecycle, health: Health) -> APIRouter:
    """What is known of the models, and the probes."""
    routes = APIRouter()
    _add_models(routes, repository)
    _add_health(routes, lifecycle, health)
    return routes


def _add_prediction(routes: APIRouter, route: Route, predict: Predict) -> None:
    async def answer(request: HttpRequest) -> HttpResponse:
        return await _predicted(predict, route.protocol, request)

    # `service.http.openapi` documents it.
    routes.add_api_route(route.pattern, answer, methods=["POST"], include_in_schema=False)


def _add_resource(routes: APIRouter, route: ResourceRoute, served: Served) -> None:
    resource = route.resource

    async def answer(request: HttpRequest) -> HttpResponse:
        return _http(resource.respond(served, {**request.query_params, **request.path_params}))

    routes.add_api_route(
        route.pattern,
        answer,
        methods=[resource.method],
        tags=["models"],
        summary=resource.endpoint.summary,
        description=resource.endpoint.description,
        responses={status: dict(response) for status, response in resource.responses.items()},
        openapi_extra={"parameters": openapi.path_parameters(route.pattern)},
    )


def _add_models(routes: APIRouter, repository: Repository) -> None:
    # FastAPI's own parameters and answers would be pydantic models, which take a while to make at each start.
    @routes.get("/models", tags=["models"], responses=_AN_OBJECT)
    async def list_models() -> HttpResponse:
        """The default model, or null, and of each model the version that serves and the state of the others."""
        listed = [_summary(repository, name) for name in repository.names()]
        return _json({"default": repository.default_name, "models": listed})

    described: dict[int | str, dict[str, Any]] = {
        **_AN_OBJECT,
        404: problems.described("There is no such model (`not-found`)"),
        "4XX": problems.described("Other problems"),
    }

    @routes.get(
        _MODEL,
        tags=["models"],
        responses=described,
        openapi_extra={"parameters": openapi.path_parameters(_MODEL)},
    )
    async def describe_model(request: HttpRequest) -> HttpResponse:
        """A model's inputs and outputs, where it runs, its scores, and what it was made from."""
        name = request.path_params["name"]
        model = repository.find(name, None)
        _record(request).model = name
        return _json({**describe(model), "versions": repository.statuses(name)})


def _add_health(routes: APIRouter, lifecycle: Lifecycle, health: Health) -> None:
    @routes.get("/health/live", tags=["health"], responses={503: {"description": "A worker or the supervisor is lost"}})
    async def live() -> HttpResponse:
        """Whether this worker answers, and the server replaces others that do not. Restart it if not."""
        return _probed({"status": "alive"}, {"status": "lost"}, health.lost())

    @routes.get("/health/ready", tags=["health"], responses={503: {"description": "Starting, draining or hanging"}})
    async def ready() -> HttpResponse:
        """Whether requests should be sent here now: this worker takes them, and no other hangs."""
        if not lifecycle.ready:
            return _json({"status": lifecycle.state}, 503)
        return _probed({"status": lifecycle.state}, {"status": "hanging"}, health.unready())

    @routes.get("/health/startup", tags=["health"], responses={503: {"description": "Starting"}})
    async def startup() -> HttpResponse:
        """Whether the models passed their self-check and the server began to take requests."""
        return _json({"status": lifecycle.state}, 503 if lifecycle.state is State.STARTING else 200)


def _probed(good: dict[str, str], bad: dict[str, str], reason: str | None) -> HttpResponse:
    """A probe's response: ``good``, or 503 and ``bad`` with its ``reason``."""
    return _json(good) if reason is None else _json(bad | {"reason": reason}, 503)


def add_errors(app: FastAPI, table: RouteTable, repository: Repository, paths: str) -> None:
    """Answer every `RequestError` in the form of the route's protocol, also those found before its handler runs.

    ``paths`` tells a client that asked for an unknown path which ones there are.
    """

    async def expected(request: HttpRequest, error: Exception) -> HttpResponse:
        assert isinstance(error, RequestError)  # noqa: S101 - it is registered for these alone
        record = _record(request)
        record.problem = problems.name_of(error)
        name = request.path_params.get("name")
        if name is not None and any(model.manifest.name == name for model in repository):
            record.model = name
        pattern = getattr(request.scope.get("route"), "path", "")
        protocol = table.protocol_of(pattern) or table.protocol_below(get_route_path(request.scope))
        respond = problems.response if protocol is None else protocol.error
        return _http(respond(error, record.request_id))

    async def framework(request: HttpRequest, error: Exception) -> HttpResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these alone
        return await expected(request, _request_error(request, error, paths))

    app.add_exception_handler(RequestError, expected)
    app.add_exception_handler(HTTPException, framework)


def _request_error(request: HttpRequest, error: HTTPException, paths: str) -> RequestError:
    """The `RequestError` for an error of the router."""
    path = request.scope["path"]
    if path == "*":  # OPTIONS of the whole server
        return MethodNotAllowed(f"OPTIONS * is not answered; {paths}", "GET, HEAD, POST")
    status = HTTPStatus(error.status_code)
    detail = f"{request.method} {path[:200]}: {status.phrase.lower()}; {paths}"
    if status is HTTPStatus.NOT_FOUND:
        return NotFound(detail)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = set((error.headers or {})["Allow"].split(", "))
        if "GET" in allowed:
            allowed.add("HEAD")  # the guard lets it stand for GET
        return MethodNotAllowed(detail, ", ".join(sorted(allowed)))
    raise error


async def _predicted(predict: Predict, protocol: AnyProtocol, request: HttpRequest) -> HttpResponse:
    record, parameters = _record(request), request.path_params
    query = request.scope["query_string"].decode("latin-1")
    headers = messages.by_name(request.scope["headers"])
    message = messages.Request(parameters.get("name"), parameters.get("version"), query, headers, b"", counted=True)
    predict.identify(message, record)
    arrive = partial(predict.arrive, protocol, message, record)
    message.body, arrival = await _body(request, int(headers.get(b"content-length", 0)), arrive)
    answered: asyncio.Future[messages.Response] = asyncio.get_running_loop().create_future()
    pending = predict(protocol, message, record, answered.set_result, arrival)
    if pending is not None:
        await _wait_for(answered, request, pending)
    return _http(answered.result())


async def _body(
    request: HttpRequest, declared_bytes: int, arrive: Callable[[int], Arrival | None]
) -> tuple[bytes, Arrival | None]:
    """The complete body, and the count of a large one's rows from its arrival on. Raises `Overloaded`."""
    arrival, pieces, received_bytes = None, [], 0
    try:
        if declared_bytes > LARGE_BYTES:
            arrival = arrive(declared_bytes)
        async for piece in request.stream():
            pieces.append(piece)
            received_bytes += len(piece)
            if received_bytes > LARGE_BYTES:
                arrival = arrival or arrive(declared_bytes)
                if arrival is not None:
                    arrival.reached(received_bytes)
    except BaseException:
        if arrival is not None:
            arrival.close()
        raise
    return b"".join(pieces), arrival


async def _wait_for(answered: asyncio.Future[messages.Response], request: HttpRequest, pending: Pending) -> None:
    """Wait for the answer. Raises `ClientDisconnect`, and cancels the request, once the client is gone."""
    gone = asyncio.ensure_future(request.receive())  # after the body there is no other message
    try:
        await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not answered.done():
            pending.cancel()
    if not answered.done():
        raise ClientDisconnect


def _record(request: HttpRequest) -> RequestRecord:
    record: RequestRecord = request.scope["state"]["record"]
    return record


def _http(response: messages.Response) -> HttpResponse:
    answer = HttpResponse(response.body, response.status)
    answer.raw_headers.extend(response.headers)
    return answer


def _json(document: Mapping[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(document), status, media_type="application/json")


def _summary(repository: Repository, name: str) -> dict[str, Any]:
    statuses = repository.statuses(name)
    serving = next((each.version for each in statuses if each.state is VersionState.SERVING), None)
    return {"name": name, "version": serving, "versions": statuses}
