"""What the OpenAPI document says of a prediction: request, answer and problems, with examples that work when sent."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.http import problems
from service.inference.repository import Model


class TopK(BaseModel):
    """The best labels of each row and their probabilities, best first."""

    predictions: list[list[str]]
    probabilities: list[list[float]]


class Answer(BaseModel):
    """Predictions in columns, one entry a row, in the order of the request's rows."""

    model: str
    version: int
    predictions: list[str] = Field(description="the most probable label")
    classes: list[int] = Field(description="its index in the model's labels")
    probabilities: list[list[float]] | None = Field(
        default=None, description="of every label, in the order of GET /models/{name}; absent with probabilities=false"
    )
    top_k: TopK | None = Field(default=None, description="present with top_k=")


class ProblemFault(BaseModel):
    """The first bad value of a request."""

    row: int | None = None
    feature: str | None = None
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(json_schema_extra={"description": "https://www.rfc-editor.org/rfc/rfc9457"})

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemFault] | None = None


def prediction(example: Model) -> dict[str, Any]:
    """Keyword arguments that describe a prediction's route, with ``example``'s own row as the example request."""
    manifest = example.manifest
    width = len(manifest.features)
    row = {
        "type": "array",
        "items": {"type": "number"},
        "description": f"{width} values, or nested to the model's shape",
    }
    named = {"type": "object", "additionalProperties": {"type": "number"}, "description": "values by feature name"}
    rows = {"type": "array", "minItems": 1, "items": {"anyOf": [row, named]}}
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"inputs": rows},
    }
    query = [
        _query("top_k", "also give the k most probable labels of each row", {"type": "integer", "minimum": 1}),
        _query("probabilities", "false leaves the probabilities out", {"type": "boolean", "default": True}),
        _query("timing", "true adds a server-timing header", {"type": "boolean", "default": False}),
    ]
    body = {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": json.loads(example.example)}},
    }
    return {
        "response_model": Answer,
        "responses": _responses(),
        "openapi_extra": {"requestBody": body, "parameters": query},
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _responses() -> dict[int | str, dict[str, Any]]:
    by_status: dict[int | str, dict[str, Any]] = {}
    for status, name, title in problems.PROBLEMS.values():
        told = by_status.setdefault(
            status, {"description": "", "content": {problems.MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
        )
        told["description"] = "; ".join(part for part in (told["description"], f"{title} (`{name}`)") if part)
    return by_status
