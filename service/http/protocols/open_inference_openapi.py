"""What OpenAPI says of a V2 inference request and its response."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.http.codecs.codec import binary
from service.http.protocols import error_objects
from service.http.protocols.base import Operation
from service.inference import tensors
from service.inference.model import Model
from service.inference.tensors import BOOL, BYTES, DTYPES, INPUT, Tensor

_SCHEMAS: Final = "#/components/schemas/"
_LENGTH: Final = "Inference-Header-Content-Length"
_PARAMETERS: Final = (
    {
        "name": _LENGTH,
        "in": "header",
        "required": False,
        "description": "the bytes of the JSON, if binary tensors follow it; 0 if the body is one row of the one input",
        "schema": {"type": "integer", "minimum": 0},
    },
    {
        "name": "content-encoding",
        "in": "header",
        "required": False,
        "description": "how the body is compressed",
        "schema": {"enum": ["gzip", "deflate", "identity"]},
    },
)
_STRING: Final = {"type": "string"}
_BOUNDS: Final = {"type": "integer", "minimum": 0}
_NAMED: Final = {"name": {"type": "string"}, "shape": {"type": "array", "items": _BOUNDS}}
_SIZE: Final = {"binary_data_size": {**_BOUNDS, "description": "bytes of the tensor after the JSON, instead of data"}}
_DATA: Final = {"type": "array", "description": "row-major; flat, or nested to the shape"}
_REQUESTED: Final = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "parameters": {
            "type": "object",
            "properties": {
                "binary_data": {"type": "boolean", "description": "answer it as a binary tensor"},
                "classification": {**_BOUNDS, "description": "the best labels of each row instead, as BYTES"},
            },
        },
    },
}
_REQUEST: Final = {
    "type": "object",
    "title": "InferRequest",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string", "description": "returned as it is"},
        "parameters": {"type": "object", "properties": {"binary_data_output": {"type": "boolean"}}},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "description": "one tensor of all columns, or one per column, by the column's name",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    **_NAMED,
                    "datatype": {"enum": [*DTYPES, BYTES]},
                    "parameters": {"type": "object", "properties": _SIZE},
                    "data": _DATA,
                },
            },
        },
        "outputs": {"type": "array", "items": _REQUESTED, "description": "the outputs to answer; absent for all"},
    },
}
_RESPONSE: Final = {
    "type": "object",
    "title": "InferResponse",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        **dict.fromkeys(("model_name", "model_version", "id"), _STRING),
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    **_NAMED,
                    "datatype": {"type": "string"},
                    "parameters": {"type": "object", "properties": _SIZE},
                    "data": {"type": "array", "description": "row-major and flat"},
                },
            },
        },
    },
}


def operation(models: Sequence[Model]) -> Operation:
    """The documentation of predictions, with an example for each model."""
    examples = {model.manifest.name: {"value": _example(model)} for model in models}
    described = "the JSON, and the binary tensors in its order"
    return Operation(
        _PARAMETERS,
        {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"{_SCHEMAS}InferRequest"}, "examples": examples},
                "application/octet-stream": binary(described),
            },
        },
        {
            "200": {
                "description": "Successful Response",
                "content": {
                    "application/json": {"schema": {"$ref": f"{_SCHEMAS}InferResponse"}},
                    "application/octet-stream": binary(described),
                },
                "headers": {
                    _LENGTH: {"description": "the bytes of the JSON, if binary tensors follow it", "schema": _BOUNDS}
                },
            },
            **error_objects.responses(),
        },
        {"InferRequest": _REQUEST, "InferResponse": _RESPONSE},
    )


def _example(model: Model) -> dict[str, Any]:
    """The model's example request in the form of this protocol."""
    document: Mapping[str, Any] = json.loads(model.example)
    rows: Any = document.get("inputs", document.get("instances"))
    row = rows[0] if isinstance(rows, list) and isinstance(rows[0], list | dict) else rows
    inputs = tensors.inputs_of(model.manifest, model.schema)
    if [each.name for each in inputs] == [INPUT]:
        values = list(row.values()) if isinstance(row, dict) else _flat(row)
        return {"inputs": [{**_named(inputs[0]), "data": values}]}
    values = [row[each.name] for each in inputs] if isinstance(row, dict) else row
    given = zip(inputs, values, strict=True)
    return {"inputs": [{**_named(tensor), "data": [_value(tensor, value)]} for tensor, value in given]}


def _named(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": [1, *tensor.shape[1:]], "datatype": tensor.datatype}


def _value(tensor: Tensor, value: Any) -> Any:
    if value is None:
        return None
    return bool(value) if tensor.datatype == BOOL else str(value) if tensor.datatype == BYTES else value


def _flat(row: Any) -> list[Any]:
    return [value for each in row for value in _flat(each)] if isinstance(row, list) else [row]
