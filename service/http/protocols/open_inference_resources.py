"""What V2 tells without a prediction: the server, its models, their configuration and statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import orjson

from service.errors import InvalidOption
from service.http.messages import JSON_HEADERS, Response
from service.http.protocols import error_objects
from service.http.protocols.base import Endpoint, Resource, Served
from service.inference import tensors
from service.inference.model import Model
from service.inference.tensors import Tensor
from service.statistics import Totals

EXTENSIONS: Final = (
    *("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"),
)
_PLATFORM: Final = "onnxruntime_onnx"
_NS: Final = 1e9
_MS: Final = 1e3
# Triton's answer if it follows the files by itself.
_POLLED: Final = (
    "explicit model load / unload is not allowed, as the server serves the versions in its models folder; publish a "
    "version there"
)
_Parameters = Mapping[str, str]
GetTotals = Callable[[str, int], Totals]
_OfModel = Callable[[Served, Model], Mapping[str, Any]]


def resources(totals: GetTotals) -> Mapping[str, Resource]:
    """The protocol's paths without a prediction."""
    found = {
        "/v2": _get("V2 Server", "The server's name, version and extensions.", _server, _SERVER),
        "/v2/health/live": _get("V2 Live", "Whether the server answers.", _live, _HEALTH),
        "/v2/health/ready": _get("V2 Ready", "Whether requests should be sent here now.", _ready, _HEALTH, 503),
        "/v2/models/stats": _get(
            "V2 Statistics",
            "The statistics of all models, of this process.",
            partial(_all_statistics, totals),
            _STATS,
        ),
        "/v2/repository/index": Resource(
            "POST",
            Endpoint("V2 Index", "The versions that are served."),
            _index,
            {200: _described("The index", _INDEX)},
        ),
        "/v2/repository/models/{name}/load": _rejected("V2 Load"),
        "/v2/repository/models/{name}/unload": _rejected("V2 Unload"),
    }
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        found |= {
            path: _of_model("V2 Metadata", "A model's inputs and outputs.", _metadata, _METADATA),
            f"{path}/config": _of_model("V2 Configuration", "A model's configuration.", _configuration, _CONFIG),
            f"{path}/stats": _of_model(
                "V2 Model Statistics",
                "A model's statistics since the start of this process, which are those of one worker of several.",
                partial(_model_statistics, totals),
                _STATS,
            ),
            f"{path}/ready": Resource(
                "GET",
                Endpoint("V2 Model Ready", "Whether requests for the model should be sent here now."),
                _model_ready,
                {
                    200: _described("The model is ready", _MODEL_READY),
                    404: error_objects.NOT_FOUND,
                    503: _described("The server is starting or draining", _MODEL_READY),
                },
            ),
        }
    return found


def _get(
    summary: str,
    description: str,
    respond: Callable[[Served, _Parameters], Response],
    schema: Mapping[str, Any],
    other_status: int | None = None,
) -> Resource:
    responses: dict[int | str, Mapping[str, Any]] = {200: _described("Successful Response", schema)}
    if other_status is not None:
        responses[other_status] = _described("The server is starting or draining", schema)
    return Resource("GET", Endpoint(summary, description), respond, responses)


def _of_model(summary: str, description: str, document: _OfModel, schema: Mapping[str, Any]) -> Resource:
    def respond(served: Served, parameters: _Parameters) -> Response:
        return _json(document(served, _model(served, parameters)))

    responses: dict[int | str, Mapping[str, Any]] = {
        200: _described("Successful Response", schema),
        404: error_objects.NOT_FOUND,
    }
    return Resource("GET", Endpoint(summary, description), respond, responses)


def _rejected(summary: str) -> Resource:
    endpoint = Endpoint(summary, "Always rejected: versions are served from the models folder.")
    return Resource(
        "POST", endpoint, _reject, {200: {"description": "Never"}, 400: error_objects.described("Rejected")}
    )


def _reject(_served: Served, _parameters: _Parameters) -> Response:
    raise InvalidOption(_POLLED)


def _model(served: Served, parameters: _Parameters) -> Model:
    return served.repository.find(parameters["name"], parameters.get("version"))


def _json(document: object, status: int = 200) -> Response:
    return Response(status, JSON_HEADERS, orjson.dumps(document))


def _described(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _server(_served: Served, _parameters: _Parameters) -> Response:
    return _json({"name": "mlp-serving", "version": version("mlp-serving"), "extensions": EXTENSIONS})


def _live(served: Served, _parameters: _Parameters) -> Response:
    return _json({"live": True, "ready": served.ready})


def _ready(served: Served, _parameters: _Parameters) -> Response:
    return _json({"live": True, "ready": served.ready}, 200 if served.ready else 503)


def _model_ready(served: Served, parameters: _Parameters) -> Response:
    ready = served.ready
    return _json({"name": _model(served, parameters).manifest.name, "ready": ready}, 200 if ready else 503)


def _index(served: Served, _parameters: _Parameters) -> Response:
    return _json(
        [
            {"name": model.manifest.name, "version": str(model.manifest.version), "state": "READY", "reason": ""}
            for model in served.repository
        ]
    )


def _metadata(served: Served, model: Model) -> Mapping[str, Any]:
    manifest = model.manifest
    versions = [each.manifest.version for each in served.repository if each.manifest.name == manifest.name]
    return {
        "name": manifest.name,
        "versions": [str(each) for each in sorted(versions)],
        "platform": _PLATFORM,
        "inputs": [_tensor(each) for each in tensors.inputs_of(manifest, model.schema)],
        "outputs": [_tensor(each) for each in tensors.outputs_of(manifest)],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}


def _configuration(_served: Served, model: Model) -> Mapping[str, Any]:
    manifest = model.manifest
    return {
        "name": manifest.name,
        "platform": _PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": model.schema.max_rows,
        "input": [_configured(each) for each in tensors.inputs_of(manifest, model.schema)],
        "output": [_configured(each) for each in tensors.outputs_of(manifest)],
        "default_model_filename": "model.onnx",
    }


def _configured(tensor: Tensor) -> dict[str, Any]:
    kind = "STRING" if tensor.datatype == tensors.BYTES else tensor.datatype
    return {"name": tensor.name, "data_type": f"TYPE_{kind}", "dims": tensor.shape[1:]}


def _all_statistics(totals: GetTotals, served: Served, _parameters: _Parameters) -> Response:
    return _json({"model_stats": [_statistics(totals, model) for model in served.repository]})


def _model_statistics(totals: GetTotals, _served: Served, model: Model) -> Mapping[str, Any]:
    return {"model_stats": [_statistics(totals, model)]}


def _statistics(totals: GetTotals, model: Model) -> dict[str, Any]:
    name, number = model.manifest.name, model.manifest.version
    found = totals(name, number)
    executions = sorted(model.batcher.executions.items())
    return {
        "name": name,
        "version": str(number),
        "last_inference": int(found.last_s * _MS),
        "inference_count": found.rows,
        "execution_count": sum(runs for _, (runs, _) in executions),
        "inference_stats": _inference_statistics(found),
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": _duration(runs, 0),
                "compute_infer": _duration(runs, took_s),
                "compute_output": _duration(runs, 0),
            }
            for rows, (runs, took_s) in executions
        ],
    }


def _inference_statistics(totals: Totals) -> dict[str, Any]:
    count = totals.succeeded
    return {
        "success": _duration(count, totals.duration_s),
        "fail": _duration(totals.failed, totals.failed_s),
        "queue": _duration(count, totals.queue_s),
        "compute_input": _duration(count, totals.decode_s),
        "compute_infer": _duration(count, totals.inference_s),
        "compute_output": _duration(count, totals.encode_s),
        "cache_hit": _duration(0, 0),
        "cache_miss": _duration(0, 0),
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * _NS)}


def _object(properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


_STRING: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_SIZES: Final = _list({"type": "integer", "minimum": -1})
_TENSORS: Final = _list(_object({"name": _STRING, "datatype": _STRING, "shape": _SIZES}))
_CONFIGURED: Final = _list(_object({"name": _STRING, "data_type": _STRING, "dims": _SIZES}))
_SERVER: Final = _object({"name": _STRING, "version": _STRING, "extensions": _list(_STRING)})
_HEALTH: Final = _object({"live": {"type": "boolean"}, "ready": {"type": "boolean"}})
_MODEL_READY: Final = _object({"name": _STRING, "ready": {"type": "boolean"}})
_METADATA: Final = _object(
    {"name": _STRING, "versions": _list(_STRING), "platform": _STRING, "inputs": _TENSORS, "outputs": _TENSORS}
)
_CONFIG: Final = _object(
    {
        **dict.fromkeys(("name", "platform", "backend", "default_model_filename"), _STRING),
        "version_policy": {"type": "object"},
        "max_batch_size": _COUNT,
        "input": _CONFIGURED,
        "output": _CONFIGURED,
    }
)
_INDEX: Final = _list(_object(dict.fromkeys(("name", "version", "state", "reason"), _STRING)))
_DURATION: Final = _object({"count": _COUNT, "ns": _COUNT})
_STAGES: Final = ("compute_input", "compute_infer", "compute_output")
_STATS: Final = _object(
    {
        "model_stats": _list(
            _object(
                {
                    **dict.fromkeys(("name", "version"), _STRING),
                    **dict.fromkeys(("last_inference", "inference_count", "execution_count"), _COUNT),
                    "inference_stats": _object(
                        dict.fromkeys(("success", "fail", "queue", *_STAGES, "cache_hit", "cache_miss"), _DURATION)
                    ),
                    "batch_stats": _list(_object({"batch_size": _COUNT, **dict.fromkeys(_STAGES, _DURATION)})),
                }
            )
        )
    }
)
