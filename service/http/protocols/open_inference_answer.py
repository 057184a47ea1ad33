"""A prediction's outputs as a V2 inference response, in JSON or with binary tensors; a large one in steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs.binary_tensors import bytes_of
from service.http.messages import JSON_HEADERS, Headers, Response
from service.http.protocols.open_inference_head import Head, Output
from service.inference import tensors
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.inference.tensors import BYTES, LABEL, PROBABILITIES, Tensor
from service.manifest import Label, Manifest, text_of

# The bytes of the JSON, before binary tensors.
LENGTH_HEADER: Final = b"inference-header-content-length"
_OCTETS: Final = (b"content-type", b"application/octet-stream")
_LARGE_VALUES: Final = 16_000  # numbers and labels, which take 2 ms
_STEP_VALUES: Final = 8_000
_CACHED_HEADS: Final = 32
# What is not known of an output before its rows: their number, and the data.
_JSON_DATA: Final = b'"data":[%b]'
_BINARY_DATA: Final = b'"parameters":{"binary_data_size":%d}'

Labels = tuple[Label, ...]


class Column(NamedTuple):
    """One output of a response. ``write`` gives some rows of it, in JSON without the brackets of a list."""

    tensor: Tensor
    template: bytes
    binary: bool
    write: Callable[[Outputs, Labels], bytes]


class _BinaryHead(NamedTuple):
    """The JSON of a response without data in it, and its headers."""

    json: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Choices:
    """What a request asks of its response. ``request_id`` is JSON.

    ``heads`` is a cache of the JSON of responses in which all tensors are binary, by the lengths of these.
    """

    request_id: bytes | None
    columns: tuple[Column, ...]
    all_binary: bool
    timing: bool = False
    heads: dict[tuple[int, ...], _BinaryHead] = field(default_factory=dict)


def choices_of(head: Head, manifest: Manifest) -> Choices:
    """What ``head`` asks of the response. Raises `InvalidInput` for an output that the model does not have."""
    by_name = {tensor.name: tensor for tensor in tensors.outputs_of(manifest)}
    requested = head.outputs
    if requested is None:
        requested = tuple(Output(name, head.binary) for name in by_name)
    for output in requested:
        if output.name not in by_name:
            raise InvalidInput(Fault(f"there is no output {output.name!r:.60}; there are: {', '.join(by_name)}"))
        if output.classes and output.name != PROBABILITIES:
            detail = f"output {output.name!r:.60} has no classification; request it of {PROBABILITIES!r}"
            raise InvalidInput(Fault(f"{detail}, if the model has classes"))
    columns = tuple(_column(output, by_name[output.name]) for output in requested)
    return Choices(head.request_id, columns, all(column.binary for column in columns))


def encode(outputs: Outputs, choices: Choices, manifest: Manifest) -> Response | Steps[Response]:
    """The response with the requested ``outputs``; in steps if it is large."""
    rows = len(outputs.prediction)
    values = outputs.prediction.size if outputs.probabilities is None else outputs.probabilities.size + 2 * rows
    if values > _LARGE_VALUES:
        return _encode_in_steps(outputs, choices, manifest, max(1, _STEP_VALUES * rows // values))
    labels = manifest.classes
    return _response([column.write(outputs, labels) for column in choices.columns], rows, choices, manifest)


def _encode_in_steps(outputs: Outputs, choices: Choices, manifest: Manifest, step_rows: int) -> Steps[Response]:
    rows, written = len(outputs.prediction), []
    for column in choices.columns:
        pieces = []
        for first in range(0, rows, step_rows):
            pieces.append(column.write(outputs.rows(first, first + step_rows), manifest.classes))
            yield
        written.append((b"" if column.binary else b",").join(pieces))
    return _response(written, rows, choices, manifest)


def _response(written: list[bytes], rows: int, choices: Choices, manifest: Manifest) -> Response:
    if choices.all_binary and choices.request_id is None:
        sizes = (rows, *map(len, written))
        head = choices.heads.get(sizes)
        if head is None:
            head = _binary_head(_json(written, rows, choices, manifest))
            if len(choices.heads) >= _CACHED_HEADS:
                choices.heads.clear()
            choices.heads[sizes] = head
        return Response(200, head.headers, b"".join([head.json, *written]))
    json = _json(written, rows, choices, manifest)
    data = [each for column, each in zip(choices.columns, written, strict=True) if column.binary]
    if not data:
        return Response(200, JSON_HEADERS, json)
    return Response(200, _binary_head(json).headers, b"".join([json, *data]))


def _binary_head(json: bytes) -> _BinaryHead:
    return _BinaryHead(json, (_OCTETS, (LENGTH_HEADER, b"%d" % len(json))))


def _json(written: list[bytes], rows: int, choices: Choices, manifest: Manifest) -> bytes:
    outputs = [
        column.template % (rows, len(data) if column.binary else data)
        for column, data in zip(choices.columns, written, strict=True)
    ]
    return b'{"model_name":%b,"model_version":"%d",%b"outputs":[%b]}' % (
        orjson.dumps(manifest.name),
        manifest.version,
        b"" if choices.request_id is None else b'"id":%b,' % choices.request_id,
        b",".join(outputs),
    )


def _column(output: Output, tensor: Tensor) -> Column:
    if output.classes:
        best = min(output.classes, tensor.shape[1])
        tensor = Tensor(tensor.name, BYTES, (-1, best))
    sizes = b"".join(b",%d" % size for size in tensor.shape[1:])
    head = b'{"name":"%b","datatype":"%b","shape":[%%d%b],' % (tensor.name.encode(), tensor.datatype.encode(), sizes)
    template = head + (_BINARY_DATA if output.binary else _JSON_DATA) + b"}"
    if output.classes:
        return Column(
            tensor, template, output.binary, _written(lambda part, all_: _ranked(part, best, all_), output.binary)
        )
    if tensor.name == LABEL:
        return Column(tensor, template, output.binary, _written(_labels, output.binary))
    of_classes = tensor.name == PROBABILITIES
    if output.binary:  # the session has checked that outputs have these datatypes
        return Column(tensor, template, True, lambda part, _: _values(part, of_classes).tobytes())
    return Column(
        tensor,
        template,
        False,
        lambda part, _: orjson.dumps(_values(part, of_classes).reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1],
    )


def _values(part: Outputs, of_classes: bool) -> NDArray[Any]:
    return part.prediction if part.probabilities is None or not of_classes else part.probabilities


def _written(texts: Callable[[Outputs, Labels], list[str]], binary: bool) -> Callable[[Outputs, Labels], bytes]:
    if binary:
        return lambda part, labels: bytes_of([each.encode() for each in texts(part, labels)])
    return lambda part, labels: orjson.dumps(texts(part, labels))[1:-1]


def _labels(part: Outputs, labels: Labels) -> list[str]:
    return [text_of(labels[index]) for index in part.prediction.tolist()]


def _ranked(part: Outputs, count: int, labels: Labels) -> list[str]:
    """The ``count`` best labels of each row, as Triton writes them: ``probability:index:label``."""
    probabilities: Any = part.probabilities
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(probabilities, best, axis=1)
    pairs = zip(values.reshape(-1).tolist(), best.reshape(-1).tolist(), strict=True)
    return [f"{value:.6f}:{index}:{text_of(labels[index])}" for value, index in pairs]
