"""What the OpenAPI document says of a prediction: request, answer and problems, with examples that work when sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Union

from pydantic import BaseModel, Field

from service.http import problems
from service.inference.repository import Model
from service.manifest import CLASSIFICATION, REGRESSION, Feature, Label, Manifest


class TopK(BaseModel):
    """The best labels of each row and their probabilities, best first."""

    predictions: list[list[Label]]
    probabilities: list[list[float]]


class Answer(BaseModel):
    """Classes in columns, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[Label] = Field(description="the most probable label, in the target's own type")
    classes: list[int] = Field(description="its index in the model's labels")
    probabilities: list[list[float]] | None = Field(
        default=None, description="of every label, in the order of GET /models/{name}; absent with probabilities=false"
    )
    top_k: TopK | None = Field(default=None, description="present with top_k=")


class Numbers(BaseModel):
    """A regression's predictions, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[float] | list[list[float]] = Field(
        description="the target's value; of a model with several targets one of each, as GET /models/{name} orders them"
    )


# https://www.rfc-editor.org/rfc/rfc9457
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "stable: what happened"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "name, value, what was expected, the way out"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "the first bad value of a request",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "row": {"type": "integer", "description": "counted from 0"},
                    "feature": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_ANSWERS: Final[dict[str, type[BaseModel]]] = {CLASSIFICATION: Answer, REGRESSION: Numbers}
_JSON_TYPES: Final = {"numeric": ["number"], "boolean": ["boolean", "number"], "categorical": ["string"]}


def prediction(models: Sequence[Model]) -> dict[str, Any]:
    """Keyword arguments that describe a prediction's route, with each model's own row as an example request."""
    manifests = [model.manifest for model in models]
    tasks = {manifest.task for manifest in manifests}
    rows = [schema for manifest in manifests for schema in (_flat_row(manifest), _named_row(manifest))]
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"inputs": {"type": "array", "minItems": 1, "items": {"anyOf": rows}}},
    }
    examples = {model.manifest.name: {"value": json.loads(model.example)} for model in models}
    query = [_query("timing", "true adds a server-timing header", {"type": "boolean", "default": False})]
    if CLASSIFICATION in tasks:
        query += [
            _query("top_k", "also give the k most probable labels of each row", {"type": "integer", "minimum": 1}),
            _query("probabilities", "false leaves the probabilities out", {"type": "boolean", "default": True}),
        ]
    body = {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}
    return {
        "response_model": Union[tuple(_ANSWERS[task] for task in sorted(tasks))],  # noqa: UP007 - known at run time
        "responses": _responses(),
        "openapi_extra": {"requestBody": body, "parameters": query},
    }


def _flat_row(manifest: Manifest) -> dict[str, Any]:
    types = sorted({kind for feature in manifest.features for kind in _json_types(feature)})
    nested = f", or nested to {' x '.join(map(str, manifest.input_shape))}" if len(manifest.input_shape) > 1 else ""
    return {
        "type": "array",
        "items": {"type": [*types, "array"] if nested else types},
        "description": f"{manifest.name}: {len(manifest.features)} values in the order of its features{nested}",
    }


def _named_row(manifest: Manifest) -> dict[str, Any]:
    described = {"type": "object", "description": f"{manifest.name}: values by feature name"}
    if len(manifest.input_shape) > 1:  # pixels: nobody wants to read the name of each
        count = len(manifest.features)
        number = {"type": "number"}
        return described | {"additionalProperties": number, "minProperties": count, "maxProperties": count}
    return described | {
        "required": [feature.name for feature in manifest.features],
        "properties": {feature.name: _value(feature) for feature in manifest.features},
        "additionalProperties": False,
    }


def _value(feature: Feature) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _json_types(feature)}
    if feature.categories and not feature.other:
        schema["enum"] = [*feature.categories, *([None] if feature.missing else [])]
    return schema


def _json_types(feature: Feature) -> list[str]:
    return [*_JSON_TYPES[feature.kind], *(["null"] if feature.missing else [])]


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _responses() -> dict[int | str, dict[str, Any]]:
    by_status: dict[int | str, dict[str, Any]] = {}
    for status, name, title in problems.PROBLEMS.values():
        told = by_status.setdefault(status, {"description": "", "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM}}})
        told["description"] = "; ".join(part for part in (told["description"], f"{title} (`{name}`)") if part)
    return by_status
