"""A prediction's outputs as a ModelInferResponse, raw or typed as the request's inputs; a large one in steps."""

from __future__ import annotations

from typing import Final

from service.grpc import contents, wire
from service.grpc.infer_request import Choices
from service.http.messages import Response
from service.http.protocols.open_inference_answer import Column
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.manifest import Manifest

# Fields of ModelInferResponse, and of its InferOutputTensor.
_MODEL, _VERSION, _ID, _OUTPUTS, _RAW = 1, 2, 3, 5, 6
_NAME, _DATATYPE, _SHAPE, _CONTENTS = 1, 2, 3, 5
_LARGE_VALUES: Final = 16_000  # numbers and labels, which take 2 ms
_STEP_VALUES: Final = 8_000


def encode(outputs: Outputs, choices: Choices, manifest: Manifest) -> Response | Steps[Response]:
    """The response with the requested ``outputs``; in steps if it is large."""
    rows = len(outputs.prediction)
    values = outputs.prediction.size if outputs.probabilities is None else outputs.probabilities.size + 2 * rows
    if values > _LARGE_VALUES:
        return _encode_in_steps(outputs, choices, manifest, max(1, _STEP_VALUES * rows // values))
    written = [_written(column, outputs, choices, manifest) for column in choices.columns]
    return _response(written, rows, choices, manifest)


def _encode_in_steps(outputs: Outputs, choices: Choices, manifest: Manifest, step_rows: int) -> Steps[Response]:
    rows, written = len(outputs.prediction), []
    for column in choices.columns:
        pieces = []
        for first in range(0, rows, step_rows):
            pieces.append(_written(column, outputs.rows(first, first + step_rows), choices, manifest))
            yield
        written.append(b"".join(pieces))
    return _response(written, rows, choices, manifest)


def _written(column: Column, part: Outputs, choices: Choices, manifest: Manifest) -> bytes:
    raw = column.write(part, manifest.classes)
    return contents.of_raw(column.tensor.datatype, raw) if choices.typed else raw


def _response(written: list[bytes], rows: int, choices: Choices, manifest: Manifest) -> Response:
    parts = [wire.field(_MODEL, manifest.name.encode()), wire.field(_VERSION, b"%d" % manifest.version)]
    if choices.request_id:
        parts.append(wire.field(_ID, choices.request_id))
    for column, data in zip(choices.columns, written, strict=True):
        tensor = column.tensor
        described = [
            wire.field(_NAME, tensor.name.encode()),
            wire.field(_DATATYPE, tensor.datatype.encode()),
            wire.field(_SHAPE, wire.packed((rows, *tensor.shape[1:]))),
        ]
        if choices.typed:
            described.append(wire.field(_CONTENTS, data))
        parts.append(wire.field(_OUTPUTS, b"".join(described)))
    if not choices.typed:
        parts += [wire.field(_RAW, data) for data in written]
    return Response(200, (), b"".join(parts))
