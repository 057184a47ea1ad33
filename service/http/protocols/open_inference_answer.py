"""A prediction's outputs as a V2 inference response, in JSON or with binary tensors; a large one in steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from service.errors import Fault, InvalidInput
from service.http.codecs.binary_tensors import bytes_of
from service.http.messages import JSON_HEADERS, Headers, Response
from service.http.protocols.open_inference_head import Head, Output
from service.inference import tensors
from service.inference.session import Outputs
from service.inference.steps import Steps, finish
from service.inference.tensors import BYTES, LABEL, PROBABILITIES, Tensor
from service.manifest import Manifest, text_of

LENGTH_HEADER: Final = b"inference-header-content-length"
_LENGTH_HEADER: Final = b"Inference-Header-Content-Length"
_OCTETS: Final = (b"content-type", b"application/octet-stream")
_LARGE_VALUES: Final = 16_000  # numbers and labels, which take 2 ms
_STEP_VALUES: Final = 8_000


@dataclass(frozen=True, slots=True)
class Choices:
    """What a request asks of its response. ``request_id`` is JSON."""

    request_id: bytes | None
    outputs: tuple[Output, ...]
    timing: bool = False


class _Column(NamedTuple):
    """One output: how some rows of it are written, without the brackets of a list."""

    tensor: Tensor
    binary: bool
    write: Callable[[Outputs], bytes]


def choices_of(head: Head, manifest: Manifest) -> Choices:
    """What ``head`` asks of the response. Raises `InvalidInput` for an output that the model does not have."""
    known = tensors.outputs_of(manifest)
    if head.outputs is None:
        return Choices(head.request_id, tuple(Output(each.name, head.binary) for each in known))
    names = [each.name for each in known]
    for output in head.outputs:
        if output.name not in names:
            raise InvalidInput(Fault(f"there is no output {output.name!r:.60}; there are: {', '.join(names)}"))
        if output.classes and output.name != PROBABILITIES:
            detail = f"output {output.name!r:.60} has no classification; request it of {PROBABILITIES!r}"
            raise InvalidInput(Fault(f"{detail}, if the model has classes"))
    return Choices(head.request_id, head.outputs)


def encode(outputs: Outputs, choices: Choices, manifest: Manifest) -> Response | Steps[Response]:
    """The response with the requested ``outputs``; in steps if it is large."""
    rows = len(outputs.prediction)
    values = outputs.prediction.size if outputs.probabilities is None else outputs.probabilities.size + 2 * rows
    if values <= _LARGE_VALUES:
        return finish(_encode(outputs, choices, manifest, rows))
    return _encode(outputs, choices, manifest, max(1, _STEP_VALUES * rows // values))


def _encode(outputs: Outputs, choices: Choices, manifest: Manifest, step_rows: int) -> Steps[Response]:
    rows = len(outputs.prediction)
    heads, bodies = [], []
    for column in _columns(choices, manifest):
        pieces: list[bytes] = []
        for first in range(0, rows, step_rows):
            if pieces:
                yield
            pieces.append(column.write(outputs.rows(first, first + step_rows)))
        tensor, written = column.tensor, (b"" if column.binary else b",").join(pieces)
        name, datatype, shape = tensor.name.encode(), tensor.datatype.encode(), _shape(rows, tensor)
        if column.binary:
            bodies.append(written)
            written = b'"parameters":{"binary_data_size":%d}' % len(written)
        else:
            written = b'"data":[%b]' % written
        heads.append(b'{"name":"%b","datatype":"%b","shape":[%b],%b}' % (name, datatype, shape, written))
    request_id = b"" if choices.request_id is None else b'"id":%b,' % choices.request_id
    json = b'{"model_name":%b,"model_version":"%d",%b"outputs":[%b]}' % (
        orjson.dumps(manifest.name),
        manifest.version,
        request_id,
        b",".join(heads),
    )
    if not bodies:
        return Response(200, JSON_HEADERS, json)
    headers: Headers = (_OCTETS, (_LENGTH_HEADER, b"%d" % len(json)))
    return Response(200, headers, b"".join([json, *bodies]))


def _shape(rows: int, tensor: Tensor) -> bytes:
    return b",".join([b"%d" % size for size in (rows, *tensor.shape[1:])])


def _columns(choices: Choices, manifest: Manifest) -> list[_Column]:
    known = {tensor.name: tensor for tensor in tensors.outputs_of(manifest)}
    return [_column(output, known[output.name], manifest) for output in choices.outputs]


def _column(output: Output, tensor: Tensor, manifest: Manifest) -> _Column:
    if output.classes:
        count = min(output.classes, len(manifest.classes))
        tensor = Tensor(tensor.name, BYTES, (-1, count))
        return _Column(tensor, output.binary, lambda part: _texts(_ranked(part, count, manifest), output.binary))
    if tensor.name == LABEL:
        return _Column(tensor, output.binary, lambda part: _texts(_labels(part, manifest), output.binary))

    def write(part: Outputs) -> bytes:
        values: Any = part.probabilities if tensor.name == PROBABILITIES else part.prediction
        if output.binary:
            return np.ascontiguousarray(values, tensors.DTYPES[tensor.datatype]).tobytes()
        return orjson.dumps(np.ascontiguousarray(values).reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]

    return _Column(tensor, output.binary, write)


def _texts(texts: list[str], binary: bool) -> bytes:
    return bytes_of([each.encode() for each in texts]) if binary else orjson.dumps(texts)[1:-1]


def _labels(part: Outputs, manifest: Manifest) -> list[str]:
    classes = manifest.classes
    return [text_of(classes[index]) for index in part.prediction.tolist()]


def _ranked(part: Outputs, count: int, manifest: Manifest) -> list[str]:
    """The ``count`` best labels of each row, as Triton writes them: ``probability:index:label``."""
    probabilities: Any = part.probabilities
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(probabilities, best, axis=1)
    pairs = zip(values.reshape(-1).tolist(), best.reshape(-1).tolist(), strict=True)
    return [f"{value:.6f}:{index}:{text_of(manifest.classes[index])}" for value, index in pairs]
