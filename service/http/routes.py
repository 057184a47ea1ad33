"""The FastAPI door: every path, told to OpenAPI, and the errors that FastAPI and Starlette find themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as HttpResponse

from service.errors import MethodNotAllowed, NotFound, RequestError
from service.http import messages, openapi, problems
from service.http.admission import LARGE_BYTES, Arrival
from service.http.predict import Pending, Predict
from service.inference.repository import Model, Repository
from service.lifecycle import Lifecycle, State
from service.requests import RequestRecord

_PATHS: Final = "GET /docs lists every path and its methods"


def router(
    predict: Predict,
    repository: Repository,
    lifecycle: Lifecycle,
    exposition: Callable[[], bytes],
    exposition_type: str,
) -> APIRouter:
    """All paths; ``exposition`` gives the metrics as text of ``exposition_type``."""
    routes = APIRouter()
    _add_predictions(routes, predict, openapi.prediction(list(repository), predict.max_rows))
    _add_models(routes, repository)
    _add_health(routes, lifecycle)

    @routes.get("/metrics", tags=["metrics"], response_class=HttpResponse)
    async def metrics() -> HttpResponse:
        """All metrics, in Prometheus's text format."""
        return HttpResponse(exposition(), media_type=exposition_type)

    return routes


def _add_predictions(routes: APIRouter, predict: Predict, described: dict[str, Any]) -> None:
    @routes.post("/predict", tags=["predict"], **described)
    async def predict_default(request: HttpRequest) -> HttpResponse:
        """The prediction for each row, by the default model: its class, with all probabilities, or its number."""
        return await _predicted(predict, request)

    @routes.post("/models/{name}/predict", tags=["predict"], **described)
    async def predict_model(request: HttpRequest, name: str) -> HttpResponse:
        """The same by the model of that name."""
        return await _predicted(predict, request, name)

    @routes.post("/models/{name}/versions/{version}/predict", tags=["predict"], **described)
    async def predict_version(request: HttpRequest, name: str, version: str) -> HttpResponse:
        """The same by one version of the model, to be sure which one answers."""
        return await _predicted(predict, request, name, version)


def _add_models(routes: APIRouter, repository: Repository) -> None:
    @routes.get("/models", tags=["models"])
    async def list_models() -> dict[str, Any]:
        """The models that are served."""
        return {"models": [{"name": model.manifest.name, "version": model.manifest.version} for model in repository]}

    # With 4XX described, FastAPI adds no 422, which is never answered.
    described: dict[int | str, dict[str, Any]] = {
        404: openapi.problem("There is no such model (`not-found`)"),
        "4XX": openapi.problem("Other problems"),
    }

    @routes.get("/models/{name}", tags=["models"], responses=described)
    async def describe_model(name: str) -> dict[str, Any]:
        """What a model takes and gives, where it runs, how good it is, and what it was made from."""
        return _description(repository.find(name, None))


def _add_health(routes: APIRouter, lifecycle: Lifecycle) -> None:
    @routes.get("/health/live", tags=["health"])
    async def live() -> dict[str, str]:
        """The event loop answers."""
        return {"status": "alive"}

    @routes.get("/health/ready", tags=["health"], responses={503: {"description": "Starting or draining"}})
    async def ready() -> JSONResponse:
        """Whether requests should be sent here now."""
        return JSONResponse({"status": lifecycle.state}, 200 if lifecycle.ready else 503)

    @routes.get("/health/startup", tags=["health"], responses={503: {"description": "Starting"}})
    async def startup() -> JSONResponse:
        """Whether the models were proved and the server began to take requests."""
        return JSONResponse({"status": lifecycle.state}, 503 if lifecycle.state is State.STARTING else 200)


def add_problems(app: FastAPI) -> None:
    """Make every foreseen error an RFC 9457 problem, also those found before a path's own function runs."""

    async def foreseen(request: HttpRequest, error: Exception) -> HttpResponse:
        assert isinstance(error, RequestError)  # noqa: S101 - it is registered for these alone
        record = _record(request)
        record.problem = problems.name_of(error)
        return _http(problems.response(error, record.request_id))

    async def framework(request: HttpRequest, error: Exception) -> HttpResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these alone
        return await foreseen(request, _named(request, error))

    app.add_exception_handler(RequestError, foreseen)
    app.add_exception_handler(HTTPException, framework)


def _named(request: HttpRequest, error: HTTPException) -> RequestError:
    """What the router found, as an error of ours."""
    path = request.scope["path"]
    if path == "*":  # OPTIONS of the whole server
        return MethodNotAllowed(f"OPTIONS * is not answered; {_PATHS}", "GET, HEAD, POST")
    status = HTTPStatus(error.status_code)
    detail = f"{request.method} {path[:200]}: {status.phrase.lower()}; {_PATHS}"
    if status is HTTPStatus.NOT_FOUND:
        return NotFound(detail)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = set((error.headers or {})["Allow"].split(", "))
        if "GET" in allowed:
            allowed.add("HEAD")  # the guard lets it stand for GET
        return MethodNotAllowed(detail, ", ".join(sorted(allowed)))
    raise error


async def _predicted(
    predict: Predict, request: HttpRequest, name: str | None = None, version: str | None = None
) -> HttpResponse:
    record = _record(request)
    query = request.scope["query_string"].decode("latin-1")
    headers = messages.by_name(request.scope["headers"])
    message = messages.Request(name, version, query, headers, b"", counted=True)
    message.body, arrival = await _body(predict, message, request)
    answered: asyncio.Future[messages.Response] = asyncio.get_running_loop().create_future()
    job = predict(message, record, answered.set_result, arrival)
    if job is not None:
        await _until(answered, request, job)
    return _http(answered.result())


async def _body(predict: Predict, message: messages.Request, request: HttpRequest) -> tuple[bytes, Arrival | None]:
    """The whole body, and what counts the rows of a large one from its arrival on. Raises `Overloaded`."""
    declared_bytes = int(message.headers.get(b"content-length", 0))
    arrival, pieces, received_bytes = None, [], 0
    try:
        if declared_bytes > LARGE_BYTES:
            arrival = predict.arrive(message, _record(request), declared_bytes)
        async for piece in request.stream():
            pieces.append(piece)
            received_bytes += len(piece)
            if received_bytes > LARGE_BYTES:
                arrival = arrival or predict.arrive(message, _record(request), declared_bytes)
                if arrival is not None:
                    arrival.reached(received_bytes)
    except BaseException:
        if arrival is not None:
            arrival.close()
        raise
    return b"".join(pieces), arrival


async def _until(answered: asyncio.Future[messages.Response], request: HttpRequest, job: Pending) -> None:
    """Wait; where nobody does any more, cancel the ``job``. Raises `ClientDisconnect`."""
    gone = asyncio.ensure_future(request.receive())  # after the body there is nothing else to hear of
    try:
        await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not answered.done():
            job.cancel()
    if not answered.done():
        raise ClientDisconnect


def _record(request: HttpRequest) -> RequestRecord:
    record: RequestRecord = request.scope["state"]["record"]
    return record


def _http(response: messages.Response) -> HttpResponse:
    answer = HttpResponse(response.body, response.status)
    answer.raw_headers.extend(response.headers)
    return answer


def _description(model: Model) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "labels": manifest.classes,
        "targets": manifest.targets,
        "input_shape": manifest.input_shape,
        "input_dtype": manifest.input_dtype,
        "output_dtype": manifest.output_dtype,
        "features": manifest.features,
        "cells": manifest.cells,
        "provider": model.provider,
        "precision": model.precision,
        "costs": model.costs,
        "load_s": model.load_s,
        "scores": manifest.scores,
        "data": manifest.data,
        "created": manifest.created,
        "git_commit": manifest.git_commit,
    }
