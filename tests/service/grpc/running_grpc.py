"""Calls of a gRPC server by its full method names, with our own message classes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from service.grpc.messages import SERVICE, message
from tests.service.running import PATIENCE_S, Running

INFER = f"/{SERVICE}/ModelInfer"
ModelInferRequest = message("ModelInferRequest")
ModelInferResponse = message("ModelInferResponse")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class RunningGrpc(Running):
    """A server with gRPC, and a channel to it."""

    def __init__(
        self, models: Path, *arguments: str, workers: int = 1, variables: Mapping[str, str] | None = None
    ) -> None:
        self.grpc_port = free_port()
        super().__init__(models, "--grpc-port", str(self.grpc_port), *arguments, workers=workers, variables=variables)
        self.channel = self.new_channel()

    def new_channel(self, *options: tuple[str, Any]) -> Any:
        return grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()
        super().__exit__(kind, error, trace)

    def call(self, name: str, request: Any = None, **options: Any) -> Any:
        """The response of the service's RPC ``name``."""
        method = self.channel.unary_unary(
            f"/{SERVICE}/{name}", _serialized, response_deserializer=message(f"{name}Response").FromString
        )
        return method(message(f"{name}Request")() if request is None else request, timeout=PATIENCE_S, **options)

    def late(self, messages: Iterable[bytes], **options: Any) -> Any:
        """A call of ModelInfer whose message is sent when ``messages`` has it; a future."""
        method = self.channel.stream_unary(INFER, response_deserializer=ModelInferResponse.FromString)
        return method.future(iter(messages), **options)

    def fails(self, request: bytes | Any, **options: Any) -> tuple[grpc.StatusCode, str]:
        """The status and message of a ModelInfer that fails."""
        return failure(lambda: self.call("ModelInfer", request, **options))


def failure(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


def _serialized(request: bytes | Any) -> bytes:
    if isinstance(request, bytes):
        return request
    content: bytes = request.SerializeToString()
    return content


def raw_request(rows: NDArray[Any], datatype: str = "FP32", **fields: Any) -> Any:
    """A ModelInferRequest with ``rows`` as raw contents."""
    tensor = {"name": "inputs", "datatype": datatype, "shape": rows.shape}
    return ModelInferRequest(inputs=[tensor], raw_input_contents=[rows.tobytes()], **{"model_name": "small"} | fields)


def typed_request(rows: NDArray[Any], datatype: str = "FP32", field: str = "fp32_contents", **fields: Any) -> Any:
    """A ModelInferRequest with ``rows`` as typed contents."""
    contents = {field: rows.reshape(-1).tolist()}
    tensor = {"name": "inputs", "datatype": datatype, "shape": rows.shape, "contents": contents}
    return ModelInferRequest(inputs=[tensor], **{"model_name": "small"} | fields)


def probabilities_of(response: Any) -> NDArray[np.float32]:
    """Those of a response, raw or typed, float32 (rows, classes)."""
    (index,) = (index for index, each in enumerate(response.outputs) if each.name == "probabilities")
    output = response.outputs[index]
    if response.raw_output_contents:
        values = np.frombuffer(response.raw_output_contents[index], np.float32)
    else:
        values = np.array(output.contents.fp32_contents, np.float32)
    return values.reshape(output.shape)
