"""The protocol of containers on SageMaker, and of MLflow's scoring server: ``/ping`` and ``/invocations``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/

Bodies and answers are those of ``/predict``: what MLflow's clients read is ``predictions`` in them. SageMaker's clients
send CSV without a header and MLflow's with one, so the first line decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import orjson

from service.http.codecs.table import DETECTING_CODECS
from service.http.messages import JSON_HEADERS, Response
from service.http.protocols.base import Endpoint, Resource, Served
from service.http.protocols.native import NativeProtocol

_PATHS: Final = {
    "/invocations": Endpoint(
        "Invocations", "The same as POST /predict, for clients of SageMaker and MLflow. CSV may have a header or not."
    )
}
_READY: Final = b'{"status":"ready"}'
_STATUS: Final = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "reason": {"type": "string"}},
}


class Invocations(NativeProtocol):
    """The protocol of ``/invocations``. A body may have ``max_body_bytes`` after decompression.

    ``health_paths`` are answered like ``/ping``.
    """

    def __init__(self, max_body_bytes: int, health_paths: Sequence[str] = ()) -> None:
        super().__init__(max_body_bytes, DETECTING_CODECS)
        self.paths = _PATHS
        ping = Resource(
            "GET",
            Endpoint("Ping", "Whether requests should be sent here now, for SageMaker, MLflow and Vertex AI."),
            _ping,
            {
                200: _described("The server takes requests", "application/json", _STATUS),
                503: _described("Starting, draining or hanging", "application/json", _STATUS),
            },
        )
        about = Resource(
            "GET",
            Endpoint("Version", "The version of this server, as text."),
            _version,
            {200: _described("The version", "text/plain", {"type": "string"})},
        )
        self.resources = {**dict.fromkeys(("/ping", "/health", *health_paths), ping), "/version": about}


def _ping(served: Served, _parameters: Mapping[str, str]) -> Response:
    if served.ready:
        return Response(200, JSON_HEADERS, _READY)
    document: dict[str, str | None] = {"status": served.lifecycle.state}
    if served.lifecycle.ready:
        document = {"status": "hanging", "reason": served.unready()}
    return Response(503, JSON_HEADERS, orjson.dumps(document))


def _version(_served: Served, _parameters: Mapping[str, str]) -> Response:
    return Response(200, ((b"content-type", b"text/plain"),), version("mlp-serving").encode())


def _described(description: str, media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": dict(schema)}}}
