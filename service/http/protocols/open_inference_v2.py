"""The Open Inference Protocol, version 2, over REST, with the extensions that Triton's clients use.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, InvalidOption, RequestError
from service.http.codecs import binary_tensors, compression, json_tensors
from service.http.messages import Request, Response
from service.http.protocols import error_objects, open_inference_answer, open_inference_head, open_inference_openapi
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource
from service.http.protocols.open_inference_answer import Choices
from service.http.protocols.open_inference_head import Head
from service.http.protocols.open_inference_resources import GetTotals, resources
from service.inference import tensors
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import Steps, finish
from service.inference.tensors import BOOL, BYTES, DTYPES, Tensor

# Bodies up to this size decode so fast that their steps are taken at once.
_AT_ONCE_BYTES: Final = 32 * 1024
_WHOLE_BYTES: Final = 256 * 1024
_MAX_DIGITS: Final = 12
_LENGTH_HEADER: Final = b"inference-header-content-length"
_RAW_DATATYPES: Final = {"uint8": "UINT8", "float32": "FP32", "float64": "FP64"}


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
        length = headers.get(_LENGTH_HEADER)
        if coding is not None and (wbits := compression.wbits_of(coding)) is not None:
            return self._inflate_later(compression.inflated(body, self._max_body_bytes, wbits), length, model)
        return _decode(body, length, model)

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
        kind = "json" if _LENGTH_HEADER not in request.headers else "binary"
        return BodyFormat(f"v2 {kind}{' compressed' if compressed else ''}", None)

    def operation(self, models: Sequence[Model]) -> Operation:
        """The OpenAPI documentation of the predictions."""
        return open_inference_openapi.operation(models)

    def _inflate_later(self, inflating: Steps[bytes], length: bytes | None, model: Model) -> Steps[Decoded[Choices]]:
        body = yield from inflating
        decoded = _decode(body, length, model)
        return decoded if isinstance(decoded, tuple) else (yield from decoded)


def _decode(body: bytes, length: bytes | None, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
    json_bytes = len(body) if length is None else _json_bytes(length, len(body))
    if json_bytes == 0 and length is not None:
        return _decode_raw(body, model)
    if len(body) > _WHOLE_BYTES:
        return _decode_in_steps(body, json_bytes, model)
    text = body if json_bytes == len(body) else body[:json_bytes]
    split = json_tensors.split_at_once(text)
    head = open_inference_head.parse(split.skeleton, len(split.data), model.schema.width)
    choices = open_inference_answer.choices_of(head, model.manifest)
    rows = _rows(head, split.data, body, json_bytes, model.schema)
    if isinstance(rows, np.ndarray):
        return rows, choices
    if len(body) <= _AT_ONCE_BYTES:
        return finish(rows), choices
    return _later(rows, choices)


def _decode_in_steps(body: bytes, json_bytes: int, model: Model) -> Steps[Decoded[Choices]]:
    split = yield from json_tensors.split(body[:json_bytes])
    head = open_inference_head.parse(split.skeleton, len(split.data), model.schema.width)
    choices = open_inference_answer.choices_of(head, model.manifest)
    rows = _rows(head, split.data, body, json_bytes, model.schema)
    return rows if isinstance(rows, np.ndarray) else (yield from rows), choices


def _later(rows: Steps[Rows], choices: Choices) -> Steps[Decoded[Choices]]:
    return (yield from rows), choices


def _json_bytes(length: bytes, body_bytes: int) -> int:
    if not length.isdigit() or len(length) > _MAX_DIGITS or int(length) > body_bytes:
        shown = length[:60].decode("latin-1")
        raise InvalidOption(
            f"header Inference-Header-Content-Length is {shown!r}, expected the bytes of the JSON, at most the body's "
            f"{body_bytes}"
        )
    return int(length)


def _decode_raw(body: bytes, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
    """A body that is one row of the one input; all outputs are binary."""
    schema = model.schema
    sizes = {schema.width * DTYPES[_RAW_DATATYPES[name]].itemsize: name for name in schema.raw_dtypes}
    if len(body) not in sizes:
        expected = " or ".join(f"{size} of {name}" for size, name in sizes.items())
        raise InvalidInput(Fault(f"the body has {len(body)} bytes, expected one row: {expected}"))
    tensor = Tensor(tensors.INPUT, _RAW_DATATYPES[sizes[len(body)]], (1, schema.width))
    head = Head(None, (), (tensor,), None, binary=True, binary_bytes=len(body))
    rows = tensors.rows_at_once(tensor, binary_tensors.numbers(tensor, body, 0, len(body)), schema)
    choices = open_inference_answer.choices_of(head, model.manifest)
    return rows if isinstance(rows, np.ndarray) else finish(rows), choices


def _rows(head: Head, data: list[bytes], body: bytes, json_bytes: int, schema: Schema) -> Rows | Steps[Rows]:
    """The rows of a request's inputs, whose data are in ``data``, or in ``body`` from ``json_bytes`` on."""
    found = tensors.layout(head.tensors, schema)
    if head.binary_bytes != len(body) - json_bytes:
        raise _wrong_size(head.binary_bytes, len(body) - json_bytes)
    if found.columns is None:
        tensor, binary_bytes = head.inputs[0]
        if tensor.datatype != BYTES:
            if binary_bytes is not None:
                values = binary_tensors.numbers(tensor, body, json_bytes, binary_bytes)
                return tensors.rows_at_once(tensor, values, schema)
            if DTYPES[tensor.datatype].kind == "f" and tensor.datatype != "FP16":
                numbers = json_tensors.numbers_at_once(data[0], tensor.shape)
                if numbers is not None:
                    return tensors.rows_at_once(tensor, numbers, schema)
    return _rows_in_steps(head, found, data, body, json_bytes, schema)


def _rows_in_steps(
    head: Head, found: tensors.Layout, data: list[bytes], body: bytes, json_bytes: int, schema: Schema
) -> Steps[Rows]:
    texts, at, columns = iter(data), json_bytes, []
    for place, (tensor, binary_bytes) in enumerate(head.inputs):
        convert = tensors.converter(tensor, None if found.columns is None else found.columns[place], schema)
        if binary_bytes is None:
            columns.append((yield from _values_of_json(tensor, next(texts), convert)))
        else:
            columns.append(
                (yield from binary_tensors.texts(tensor, body[at : at + binary_bytes], convert))
                if tensor.datatype == BYTES
                else binary_tensors.numbers(tensor, body, at, binary_bytes)
            )
            at += binary_bytes
    if found.columns is not None:
        return (yield from tensors.rows_of_columns(head.tensors, columns, found, schema))
    (tensor,), (values,) = head.tensors, columns
    rows = tensors.rows_at_once(tensor, values, schema)
    return rows if isinstance(rows, np.ndarray) else (yield from rows)


def _values_of_json(tensor: Tensor, text: bytes, convert: Callable[[int, object], float]) -> Steps[NDArray[np.float64]]:
    numeric = tensor.datatype not in (BYTES, BOOL)
    values = yield from json_tensors.read(text, tensor.shape, convert, numeric=numeric)
    return values if tensor.datatype == BYTES else (yield from tensors.as_declared(tensor, values))


def _wrong_size(expected_bytes: int, available_bytes: int) -> InvalidInput:
    detail = f"the inputs have {expected_bytes} bytes of binary data, and {available_bytes} bytes follow the JSON"
    return InvalidInput(Fault(f"{detail}; send the JSON's length as Inference-Header-Content-Length"))
