"""The Open Inference Protocol, version 2, over REST, with the extensions that Triton's clients use.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from service.errors import RequestError
from service.http.codecs import compression
from service.http.messages import Request, Response
from service.http.protocols import (
    error_objects,
    open_inference_answer,
    open_inference_openapi,
    open_inference_request,
)
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource
from service.http.protocols.open_inference_answer import LENGTH_HEADER, Choices
from service.http.protocols.open_inference_resources import GetTotals, resources
from service.inference.model import Model
from service.inference.session import Outputs
from service.inference.steps import Steps


class OpenInferenceV2:
    """The protocol of ``/v2``. A body may have ``max_body_bytes`` after decompression.

    ``totals`` gives those of a model's version, by its name and number.
    """

    paths: Final[Mapping[str, Endpoint]] = {
        "/v2/models/{name}/infer": Endpoint("V2 Infer", "A prediction for each row of the input tensors."),
        "/v2/models/{name}/versions/{version}/infer": Endpoint("V2 Infer Version", "The same by one version."),
    }

    def __init__(self, max_body_bytes: int, totals: GetTotals) -> None:
        self._max_body_bytes = max_body_bytes
        self.resources: Final[Mapping[str, Resource]] = resources(totals)

    def decode(self, request: Request, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
        """Rows and options; see `WireProtocol`."""
        headers, body = request.headers, request.body
        coding = headers.get(b"content-encoding")
        length = headers.get(LENGTH_HEADER)
        if coding is not None and (wbits := compression.wbits_of(coding)) is not None:
            return self._inflate_later(compression.inflated(body, self._max_body_bytes, wbits), length, model)
        return open_inference_request.decode(body, length, model)

    def encode(self, outputs: Outputs, choices: Choices, model: Model) -> Response | Steps[Response]:
        """The response; see `WireProtocol`."""
        return open_inference_answer.encode(outputs, choices, model.manifest)

    def error(self, error: RequestError, request_id: str) -> Response:
        """``{"error": …}``."""
        return error_objects.response(error, request_id)

    def body_format(self, request: Request, model: Model) -> BodyFormat:  # noqa: ARG002 - see `WireProtocol`
        """The format of a body; see `WireProtocol`."""
        coding = request.headers.get(b"content-encoding")
        compressed = coding is not None and compression.wbits_of(coding) is not None
        kind = "json" if LENGTH_HEADER not in request.headers else "binary"
        return BodyFormat(f"v2 {kind}{' compressed' if compressed else ''}", None)

    def operation(self, models: Sequence[Model]) -> Operation:
        """The OpenAPI documentation of the predictions."""
        return open_inference_openapi.operation(models)

    def _inflate_later(self, inflating: Steps[bytes], length: bytes | None, model: Model) -> Steps[Decoded[Choices]]:
        body = yield from inflating
        decoded = open_inference_request.decode(body, length, model)
        return decoded if isinstance(decoded, tuple) else (yield from decoded)
