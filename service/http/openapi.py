"""What the OpenAPI document says of a prediction: request, answer and problems, with examples that work when sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Union

from pydantic import BaseModel, Field

from service.http import problems
from service.http.options import DTYPES
from service.inference.columns import FLOAT32_MAX
from service.inference.repository import Model
from service.manifest import CLASSIFICATION, REGRESSION, Feature, Label, Manifest

Probability = Annotated[float, Field(ge=0, le=1)]


class TopK(BaseModel):
    """The best labels of each row and their probabilities, best first."""

    predictions: list[list[Label]]
    probabilities: list[list[Probability]]


class Answer(BaseModel):
    """Classes in columns, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[Label] = Field(description="the most probable label, in the target's own type")
    classes: list[Annotated[int, Field(ge=0)]] = Field(description="its index in the model's labels")
    probabilities: list[list[Probability]] | None = Field(
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
_RANGE: Final = {"minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX}
_HEADERS: Final = [
    {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
    for name, description, schema in (
        ("content-encoding", "how the body is compressed", {"enum": ["gzip", "identity"]}),
        ("x-request-id", "given back, and written to the log", {"type": "string", "pattern": "^[!-~]{1,128}$"}),
        ("x-request-timeout-s", "how long it may take at most", {"type": "number", "exclusiveMinimum": 0}),
    )
]
_ANSWERS: Final[dict[str, type[BaseModel]]] = {CLASSIFICATION: Answer, REGRESSION: Numbers}
_JSON_TYPES: Final = {"numeric": ["number"], "boolean": ["boolean", "number"], "categorical": ["string"]}


def prediction(models: Sequence[Model], max_rows: int) -> dict[str, Any]:
    """Keyword arguments that describe a prediction's route, with each model's own row as an example request.

    ``max_rows`` is how many rows a request may have.
    """
    manifests = [model.manifest for model in models]
    tasks = {manifest.task for manifest in manifests}
    rows = [schema for manifest in manifests for schema in (*_listed_rows(manifest), _named_row(manifest))]
    inputs = {"type": "array", "minItems": 1, "maxItems": max_rows, "items": {"anyOf": rows}}
    instances = {"type": "array", "minItems": 1, "maxItems": max_rows, "description": "inputs by another name"}
    schema = {
        "type": "object",
        "properties": {"inputs": inputs, "instances": instances},
        "oneOf": [{"required": ["inputs"]}, {"required": ["instances"]}],
    }
    examples = {model.manifest.name: {"value": json.loads(model.example)} for model in models}
    query = [_query("timing", "true adds a server-timing header", {"type": "boolean", "default": False})]
    query.append(_query("dtype", "of raw rows, where their length leaves a doubt", {"enum": list(DTYPES)}))
    if CLASSIFICATION in tasks:
        most = max(len(manifest.classes) for manifest in manifests)
        ranks = {"type": "integer", "minimum": 1, "maximum": most}
        query += [
            _query("top_k", "also give the k most probable labels of each row, of as many as the model has", ranks),
            _query("probabilities", "false leaves the probabilities out", {"type": "boolean", "default": True}),
        ]
    content = {
        "application/json": {"schema": schema, "examples": examples},
        "application/octet-stream": _binary("rows in C order, little-endian, float32 or, of images, uint8"),
        "application/x-npy": _binary("one array of numbers, (rows, features) or nested to the model's shape"),
    }
    body = {"required": True, "content": content}
    return {
        "response_model": Union[tuple(_ANSWERS[task] for task in sorted(tasks))],  # noqa: UP007 - known at run time
        "responses": _responses(),
        "openapi_extra": {"requestBody": body, "parameters": [*query, *_HEADERS]},
    }


def _listed_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """A row as a list: flat and, where the model's rows have a shape, nested to it."""
    types = sorted({kind for feature in manifest.features for kind in _json_types(feature)})
    value = {"type": types} | _RANGE
    width, shape = len(manifest.features), manifest.input_shape
    flat = _list_of(value, width) | {"description": f"{manifest.name}: {width} values in the order of its features"}
    if len(shape) == 1:
        return [flat]
    nested: dict[str, Any] = value
    for length in reversed(shape):
        nested = _list_of(nested, length)
    return [flat, nested | {"description": f"{manifest.name}: {' x '.join(map(str, shape))} values"}]


def _list_of(item: dict[str, Any], length: int) -> dict[str, Any]:
    return {"type": "array", "minItems": length, "maxItems": length, "items": item}


def _named_row(manifest: Manifest) -> dict[str, Any]:
    described = {"type": "object", "description": f"{manifest.name}: values by feature name"}
    if len(manifest.input_shape) > 1:  # pixels: nobody wants to read the name of each
        count = len(manifest.features)
        number = {"type": "number"} | _RANGE
        return described | {"additionalProperties": number, "minProperties": count, "maxProperties": count}
    return described | {
        "required": [feature.name for feature in manifest.features],
        "properties": {feature.name: _value(feature) for feature in manifest.features},
        "additionalProperties": False,
    }


def _value(feature: Feature) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _json_types(feature)}
    if feature.kind == "numeric":
        schema |= _RANGE
    if feature.kind == "boolean":
        schema |= {"minimum": 0, "maximum": 1, "multipleOf": 1}
    if feature.categories and not feature.other:
        schema["enum"] = [*feature.categories, *([None] if feature.missing else [])]
    return schema


def _json_types(feature: Feature) -> list[str]:
    return [*_JSON_TYPES[feature.kind], *(["null"] if feature.missing else [])]


def _binary(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def problem(description: str) -> dict[str, Any]:
    """A response that is a problem document."""
    return {"description": description, "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM}}}


def _responses() -> dict[int | str, dict[str, Any]]:
    array = _binary("the probabilities, or a regression's predictions, for whoever prefers an array by Accept")
    by_status: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-npy": array}}}
    for status, name, title in problems.PROBLEMS.values():
        told = by_status.setdefault(status, problem(""))
        told["description"] = "; ".join(part for part in (told["description"], f"{title} (`{name}`)") if part)
    return by_status
