"""Version 1 of the protocol, as TF-Serving and KServe speak it: ``{"instances": …}`` and ``{"predictions": …}``.

https://www.tensorflow.org/tfx/serving/api_rest, https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol

A classifier's prediction is the list of its probabilities, as TF-Serving answers for a model with one output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from service.errors import MethodNotAllowed, RequestError
from service.http.codecs import compression, json_images, json_openapi
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_rows import quick_rows, rows_in_steps
from service.http.messages import JSON_HEADERS, Request, Response
from service.http.options import RowOptions
from service.http.protocols import error_objects
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource, Served
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.session import Outputs
from service.inference.steps import Steps, finish_on_loop
from service.manifest import CLASSIFICATION, Manifest

_PREDICT: Final = ":predict"
_AT_ONCE_BYTES: Final = 32 * 1024
_LARGE_VALUES: Final = 16_000  # numbers, which take 2 ms
_STEP_VALUES: Final = 8_000
_SCHEMAS: Final = "#/components/schemas/"
_STRING: Final = {"type": "string"}
_STATUSES: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["version", "state", "status"],
        "properties": {
            **dict.fromkeys(("version", "state"), _STRING),
            "status": {
                "type": "object",
                "properties": dict.fromkeys(("error_code", "error_message"), _STRING),
            },
        },
    },
}
_STATUS: Final = {
    "type": "object",
    "required": ["name", "ready", "model_version_status"],
    "properties": {"name": _STRING, "ready": {"type": "boolean"}, "model_version_status": _STATUSES},
}
_LIVE: Final = {"type": "object", "required": ["status"], "properties": {"status": {"const": "alive"}}}
_MODELS: Final = {
    "type": "object",
    "required": ["models"],
    "properties": {"models": {"type": "array", "items": _STRING}},
}


# What GET / answers to clients of KServe, which ask whether the server is alive.
ALIVE: Final = Response(200, JSON_HEADERS, orjson.dumps({"status": "alive"}))

_PATHS: Final[Mapping[str, Endpoint]] = {
    "/v1/models/{name}:predict": Endpoint(
        "V1 Predict", "For each instance the probabilities of all labels, or the numbers of a regression."
    ),
    "/v1/models/{name}/versions/{version}:predict": Endpoint("V1 Predict Version", "The same by one version."),
}
_DEFAULT: Final = Endpoint("V1 Predict Default", "The same by the default model, on the path that the platform chose.")


@dataclass(frozen=True, slots=True)
class _NoOptions:
    timing: bool = False


_NO_OPTIONS: Final = _NoOptions()
_ROW_OPTIONS: Final = RowOptions()


class OpenInferenceV1:
    """The protocol of ``/v1``. A body may have ``max_body_bytes`` after decompression.

    ``default_paths`` are answered by the default model.
    """

    def __init__(self, max_body_bytes: int, default_paths: Sequence[str] = ()) -> None:
        self._max_body_bytes = max_body_bytes
        self.paths: Final[Mapping[str, Endpoint]] = {**_PATHS, **dict.fromkeys(default_paths, _DEFAULT)}
        status = Resource(
            "GET",
            Endpoint("V1 Status", "Whether a model is ready."),
            _status,
            {200: _described(_STATUS), 404: error_objects.NOT_FOUND, 503: _described(_STATUS)},
        )
        self.resources: Final[Mapping[str, Resource]] = {
            "/": Resource("GET", Endpoint("V1 Live", "That the server answers."), _live, {200: _described(_LIVE)}),
            "/v1/models": Resource(
                "GET", Endpoint("V1 Models", "The models that are served."), _models, {200: _described(_MODELS)}
            ),
            "/v1/models/{name}": status,
            "/v1/models/{name}/versions/{version}": status,
        }

    def decode(self, request: Request, model: Model) -> Decoded[_NoOptions] | Steps[Decoded[_NoOptions]]:
        """Rows; see `WireProtocol`."""
        body, coding = request.body, request.headers.get(b"content-encoding")
        if coding is not None and (wbits := compression.wbits_of(coding)) is not None:
            return _decode_later(compression.inflated(body, self._max_body_bytes, wbits), model)
        rows = _rows(body, model)
        if isinstance(rows, np.ndarray):
            return rows, _NO_OPTIONS
        later = _decode_in_steps(rows)
        return finish_on_loop(later) if len(body) <= _AT_ONCE_BYTES else later

    def encode(self, outputs: Outputs, options: _NoOptions, model: Model) -> Response | Steps[Response]:  # noqa: ARG002 - there are none
        """The response; see `WireProtocol`."""
        values = _predictions(outputs, model.manifest)
        if values.size <= _LARGE_VALUES:
            return Response(200, JSON_HEADERS, b'{"predictions":%b}' % _dumped(values))
        return _encode_in_steps(values)

    def error(self, error: RequestError, request_id: str) -> Response:
        """``{"error": …}``."""
        return error_objects.response(error, request_id)

    def body_format(self, request: Request, model: Model) -> BodyFormat:  # noqa: ARG002 - see `WireProtocol`
        """The format of a body; see `WireProtocol`."""
        coding = request.headers.get(b"content-encoding")
        compressed = coding is not None and compression.wbits_of(coding) is not None
        return BodyFormat("v1 compressed" if compressed else "application/json", None)

    def operation(self, models: Sequence[Model]) -> Operation:
        """The OpenAPI documentation of the predictions."""
        number: dict[str, Any] = {"type": "number"}
        row = {"type": "array", "items": number}
        answer = {
            "type": "object",
            "title": "V1Predictions",
            "required": ["predictions"],
            "properties": {
                "predictions": {
                    "type": "array",
                    "description": "for each instance the probabilities of all labels, in the order of "
                    "GET /models/{name}, or the target's value, or a list of several targets' values",
                    "items": {"anyOf": [number, row]},
                }
            },
        }
        success = {"schema": {"$ref": f"{_SCHEMAS}V1Predictions"}}
        body = json_openapi.request(models, json_images.row_schemas(models))
        return Operation(
            [],
            {"required": True, "content": {"application/json": body}},
            {
                "200": {"description": "Successful Response", "content": {"application/json": success}},
                **error_objects.responses(),
            },
            {"V1Predictions": answer},
        )


def _rows(body: bytes, model: Model) -> Rows | Steps[Rows]:
    rows = quick_rows(body, model.schema)
    if rows is not None:
        return rows
    if json_images.may_have_images(body, model.schema):
        return json_images.rows_in_steps(body, _ROW_OPTIONS, model.schema)
    return rows_in_steps(body, RowReader(model.schema))


def _decode_in_steps(rows: Steps[Rows]) -> Steps[Decoded[_NoOptions]]:
    return (yield from rows), _NO_OPTIONS


def _decode_later(inflating: Steps[bytes], model: Model) -> Steps[Decoded[_NoOptions]]:
    rows = _rows((yield from inflating), model)
    return rows if isinstance(rows, np.ndarray) else (yield from rows), _NO_OPTIONS


def _predictions(outputs: Outputs, manifest: Manifest) -> np.ndarray[Any, Any]:
    """What is answered: one number per row (rows,), or several (rows, values)."""
    if manifest.task == CLASSIFICATION and outputs.probabilities is not None:
        return outputs.probabilities
    return outputs.prediction[:, 0] if len(manifest.targets) == 1 else outputs.prediction


def _encode_in_steps(values: np.ndarray[Any, Any]) -> Steps[Response]:
    step_rows, pieces = max(1, _STEP_VALUES * len(values) // values.size), []
    for first in range(0, len(values), step_rows):
        pieces.append(_dumped(values[first : first + step_rows])[1:-1])
        yield
    return Response(200, JSON_HEADERS, b'{"predictions":[%b]}' % b",".join(pieces))


def _dumped(values: np.ndarray[Any, Any]) -> bytes:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)


def _live(_served: Served, _parameters: Mapping[str, str]) -> Response:
    return ALIVE


def _models(served: Served, _parameters: Mapping[str, str]) -> Response:
    names = dict.fromkeys(model.manifest.name for model in served.repository)
    return Response(200, JSON_HEADERS, orjson.dumps({"models": list(names)}))


def _status(served: Served, parameters: Mapping[str, str]) -> Response:
    if parameters.get("version", parameters["name"]).endswith(_PREDICT):
        raise MethodNotAllowed(f"a path that ends in {_PREDICT} takes no GET; send a POST with the instances", "POST")
    manifest, ready = (
        served.repository.find(parameters["name"], parameters.get("version")).manifest,
        served.ready,
    )
    state = {
        "version": str(manifest.version),
        "state": "AVAILABLE" if ready else "UNLOADING",
        "status": {"error_code": "OK", "error_message": ""},
    }
    document = {"name": manifest.name, "ready": ready, "model_version_status": [state]}
    return Response(200 if ready else 503, JSON_HEADERS, orjson.dumps(document))


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": "Successful Response", "content": {"application/json": {"schema": dict(schema)}}}
