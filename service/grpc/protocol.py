"""The Open Inference Protocol's ModelInfer as a `WireProtocol`: bytes of a message in, bytes of a message out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from service.errors import RequestError
from service.grpc import infer_request, infer_response, statuses
from service.grpc.infer_request import Choices, InferRequest
from service.http.messages import Request, Response
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource
from service.inference.model import Model
from service.inference.session import Outputs
from service.inference.steps import Steps


class GrpcProtocol:
    """The protocol of ModelInfer. It has no paths of HTTP, and takes an `InferRequest`."""

    paths: Final[Mapping[str, Endpoint]] = {}
    resources: Final[Mapping[str, Resource]] = {}

    def decode(self, request: Request, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
        """Rows and options; see `WireProtocol`."""
        assert isinstance(request, InferRequest)  # noqa: S101 - `Rpcs` makes no others
        return infer_request.decode(request, model)

    def encode(self, outputs: Outputs, choices: Choices, model: Model) -> Response | Steps[Response]:
        """The response; see `WireProtocol`."""
        return infer_response.encode(outputs, choices, model.manifest)

    def error(self, error: RequestError, request_id: str) -> Response:  # noqa: ARG002 - it is in the trailing metadata
        """The status and message of an error."""
        return statuses.response(error)

    def body_format(self, request: Request, model: Model) -> BodyFormat:  # noqa: ARG002 - see `WireProtocol`
        """The format of a body; see `WireProtocol`."""
        return BodyFormat("grpc", None)

    def operation(self, models: Sequence[Model]) -> Operation:  # noqa: ARG002 - see `WireProtocol`
        """Nothing: OpenAPI describes HTTP alone."""
        return Operation((), {}, {})
