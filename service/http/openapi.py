"""The OpenAPI document, made when it is requested from the protocols and the models that are served then."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI

from service.http.paths import Route, RouteTable
from service.http.protocols.base import Operation
from service.inference.model import Model
from service.inference.repository import Repository

_HEADERS: Final = tuple(
    {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
    for name, description, schema in (
        (
            "x-request-id",
            "returned in the response, and logged; the server makes one unless it is 1 to 128 visible ASCII characters",
            {"type": "string"},
        ),
        ("x-request-timeout-s", "the longest time it may take", {"type": "number", "exclusiveMinimum": 0}),
    )
)

# https://spec.openapis.org/oas/v3.1.0#security-scheme-object
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def install(app: FastAPI, table: RouteTable, repository: Repository) -> None:
    """Add the predictions to the document of ``app``, which has the other paths already."""
    others = app.openapi

    def document() -> dict[str, Any]:
        return with_predictions(others(), table, list(repository))

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation replaces it


def require_keys(app: FastAPI, is_public: Callable[[str], bool]) -> None:
    """Say in the document of ``app`` that requests need a key, but those that read an ``is_public`` path."""
    others = app.openapi

    def document() -> dict[str, Any]:
        found = others()
        public = {path: item for path, item in found["paths"].items() if "get" in item and is_public(path)}
        paths = {path: item | {"get": item["get"] | {"security": []}} for path, item in public.items()}
        components = found["components"] | {"securitySchemes": _SCHEMES}
        return {
            **found,
            "paths": found["paths"] | paths,
            "components": components,
            "security": [{name: []} for name in _SCHEMES],
        }

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation replaces it


def with_predictions(document: dict[str, Any], table: RouteTable, models: Sequence[Model]) -> dict[str, Any]:
    """``document`` with the paths of all protocols before its own."""
    operations = {route.protocol: route.protocol.operation(models) for route in table.routes}
    predictions = {route.pattern: {"post": _operation(route, operations[route.protocol])} for route in table.routes}
    paths = {**predictions, **document["paths"]}
    components = document.get("components", {})
    schemas = dict(components.get("schemas", {}))
    for operation in operations.values():
        schemas |= operation.schemas
    return {
        **document,
        "paths": {pattern: _with_models(path, models) for pattern, path in paths.items()},
        "components": {**components, "schemas": schemas},
    }


def path_parameters(pattern: str) -> list[dict[str, Any]]:
    """The parameter objects of a path pattern."""
    return [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string", "title": each.title()}}
        for each in re.findall(r"\{(\w+)\}", pattern)
    ]


def _with_models(path: dict[str, Any], models: Sequence[Model]) -> dict[str, Any]:
    """A path item whose parameters say which models and versions there are."""
    known = {
        "name": sorted({model.manifest.name for model in models}),
        "version": sorted({str(model.manifest.version) for model in models}),
    }

    def parameter(given: dict[str, Any]) -> dict[str, Any]:
        if given["in"] != "path" or given["name"] not in known:
            return given
        return {**given, "schema": {**given["schema"], "enum": known[given["name"]]}}

    return {
        method: {**operation, "parameters": [parameter(each) for each in operation.get("parameters", ())]}
        for method, operation in path.items()
    }


def _operation(route: Route, operation: Operation) -> dict[str, Any]:
    name = route.endpoint.summary.lower().replace(" ", "_")
    return {
        "tags": ["predict"],
        "summary": route.endpoint.summary,
        "description": route.endpoint.description,
        "operationId": re.sub(r"\W", "_", f"{name}{route.pattern}_post"),
        "parameters": [*path_parameters(route.pattern), *operation.parameters, *_HEADERS],
        "requestBody": operation.request_body,
        "responses": operation.responses,
    }
