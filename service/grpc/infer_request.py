"""A ModelInferRequest: its bytes to rows, and to what it asks of the response.

Clients repeat their requests, apart from the data and the id. A `Plan` keeps what the rest means for a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from service.errors import Fault, InvalidInput, MalformedBody
from service.grpc import contents, wire
from service.grpc.messages import message
from service.grpc.wire import Field
from service.http.codecs import binary_tensors
from service.http.messages import Request
from service.http.protocols import open_inference_answer, open_inference_head
from service.http.protocols.base import Decoded
from service.http.protocols.open_inference_answer import Column
from service.http.protocols.open_inference_head import Head, Output
from service.inference import tensors
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.row_faults import FirstBadRow
from service.inference.schema import Schema
from service.inference.steps import Steps, finish
from service.inference.tensors import BYTES, Layout, Tensor

_ModelInferRequest: Final = message("ModelInferRequest")
# Fields of ModelInferRequest, and of its InferInputTensor.
_MODEL, _VERSION, _ID, _INPUTS, _OUTPUTS, _RAW = 1, 2, 3, 5, 6, 7
_CONTENTS: Final = 5
_INPUT_KEY: Final = wire.as_varint(_INPUTS << 3 | wire.BYTES)
_MAX_FIELDS: Final = 65_536
_MAX_INPUT_FIELDS: Final = 1000
_STEP_FIELDS: Final = 1000
# Messages of up to this size decode so fast that their steps are taken at once.
AT_ONCE_BYTES: Final = 32 * 1024
_PREFIX: Final = b"\0grpc"  # no other protocol's keys begin like this
_BYTES_PER_FEATURE: Final = 512
_LARGEST_BYTES: Final = 64 * 1024


class Split(NamedTuple):
    """A request apart: ``key`` is all of it but the model, the id and the data.

    ``typed`` has the contents of each input, and ``raw`` the raw contents of all.
    """

    model: str
    version: str | None
    request_id: bytes
    key: bytes
    typed: list[list[Field]]
    raw: list[Field]


@dataclass(slots=True)
class InferRequest(Request):
    """A request whose body is a ModelInferRequest, split."""

    split: Split | None = None


class Plan(NamedTuple):
    """What a request means for a model: how its tensors fill the rows, and which outputs it asks for."""

    tensors: tuple[Tensor, ...]
    layout: Layout
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a request asks of its response. ``typed`` says that outputs are typed contents, as the inputs are."""

    request_id: bytes
    columns: tuple[Column, ...]
    typed: bool
    timing: bool = False


def split(body: bytes) -> Steps[Split]:
    """The parts of a ModelInferRequest. Raises `MalformedBody`, and `InvalidInput` for more fields than any needs."""
    texts = {_MODEL: "", _VERSION: "", _ID: ""}
    key, typed, raw = [_PREFIX], [], []
    count = at = 0
    for field in wire.fields(body, 0, len(body)):
        count += 1
        if field.number in texts:
            texts[field.number] = wire.text(body, field)
        elif field.number == _RAW:
            raw.append(_checked(field))
        elif field.number == _INPUTS:
            head, data, fields = _input(body, _checked(field))
            key += (_INPUT_KEY, wire.as_varint(len(head)), head)
            typed.append(data)
            count += fields
        elif field.number == _OUTPUTS:
            key.append(body[at : field.end])
        at = field.end
        if count > _MAX_FIELDS:
            raise InvalidInput(Fault(f"the message has more than {_MAX_FIELDS} fields; send fewer tensors"))
        if count % _STEP_FIELDS == 0:
            yield
    model, version, request_id = texts.values()
    return Split(model, version or None, request_id.encode(), b"".join(key), typed, raw)


def decode(request: InferRequest, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
    """The rows of a request, and what it asks of the response; in steps if that takes long. Raises `RequestError`."""
    parts = request.split
    assert parts is not None  # noqa: S101 - whoever receives a request splits it
    plan = _plan_of(parts.key, model)
    choices = Choices(parts.request_id, plan.columns, typed=not parts.raw)
    rows = _rows(plan, parts, request.body, model.schema)
    if isinstance(rows, np.ndarray):
        return rows, choices
    return (finish(rows), choices) if len(request.body) <= AT_ONCE_BYTES else _later(rows, choices)


def _later(rows: Steps[Rows], choices: Choices) -> Steps[Decoded[Choices]]:
    return (yield from rows), choices


def _input(body: bytes, field: Field) -> tuple[bytes, list[Field], int]:
    """An input tensor without its contents, its contents, and how many fields it has."""
    head, data, count, at = [], [], 0, field.start
    for each in wire.fields(body, field.start, field.end):
        count += 1
        if each.number == _CONTENTS:
            data.append(_checked(each))
        else:
            head.append(body[at : each.end])
        at = each.end
        if count > _MAX_INPUT_FIELDS:
            raise InvalidInput(Fault(f"an input has more than {_MAX_INPUT_FIELDS} fields; send packed contents"))
    return b"".join(head), data, count


def _checked(field: Field) -> Field:
    if field.kind != wire.BYTES:
        raise MalformedBody(f"field {field.number} of the message has wire type {field.kind}, expected {wire.BYTES}")
    return field


def _plan_of(key: bytes, model: Model) -> Plan:
    plan: Plan | None = model.plans.get(key)
    if plan is None:
        plan = _planned(key, model)
        model.keep_plan(key, plan)
    return plan


def _planned(key: bytes, model: Model) -> Plan:
    largest_bytes = max(_LARGEST_BYTES, _BYTES_PER_FEATURE * model.schema.width)
    if len(key) > largest_bytes:
        detail = f"the message has {len(key)} bytes beside the data of its inputs, expected at most {largest_bytes}"
        raise InvalidInput(Fault(f"{detail}; send the inputs alone"))
    try:
        request = _ModelInferRequest.FromString(key[len(_PREFIX) :])
    except DecodeError as error:
        raise MalformedBody("the message is not a ModelInferRequest; send it again") from error
    for each in request.inputs:
        open_inference_head.refuse_shared_memory(each.parameters, f"input {each.name!r:.60}")
    given = tuple(Tensor(each.name, each.datatype, tuple(each.shape)) for each in request.inputs)
    open_inference_head.check_distinct([each.name for each in request.outputs])
    outputs = tuple(_output(each) for each in request.outputs)
    head = Head(None, (), given, outputs or None, binary=True, binary_bytes=0)
    chosen = open_inference_answer.choices_of(head, model.manifest)
    return Plan(given, tensors.layout(given, model.schema), chosen.columns)


def _output(requested: Any) -> Output:
    where = f"output {requested.name!r:.60}"
    open_inference_head.refuse_shared_memory(requested.parameters, where)
    classes = 0
    if "classification" in requested.parameters:
        classes = requested.parameters["classification"].int64_param
        if classes < 1:
            raise InvalidInput(Fault(f"{where} has classification {classes}, expected an int64 over 0"))
    return Output(requested.name, True, classes)


def _rows(plan: Plan, parts: Split, body: bytes, schema: Schema) -> Rows | Steps[Rows]:
    if parts.raw:
        if any(parts.typed):
            raise InvalidInput(Fault("there are both contents and raw_input_contents; send one of them"))
        if len(parts.raw) != len(plan.tensors):
            detail = f"there are {len(plan.tensors)} inputs and {len(parts.raw)} raw_input_contents"
            raise InvalidInput(Fault(f"{detail}; send one for each"))
        if plan.layout.columns is None and plan.tensors[0].datatype != BYTES:
            (tensor,), (data,) = plan.tensors, parts.raw
            values = binary_tensors.numbers(tensor, body, data.start, data.end - data.start)
            return tensors.rows_at_once(tensor, values, schema)
    return _rows_in_steps(plan, parts, body, schema)


def _rows_in_steps(plan: Plan, parts: Split, body: bytes, schema: Schema) -> Steps[Rows]:
    columns, faults = [], FirstBadRow()
    for index, tensor in enumerate(plan.tensors):
        column = None if plan.layout.columns is None else plan.layout.columns[index]
        convert = tensors.converter(tensor, column, schema, faults)
        if not parts.raw:
            typed = parts.typed[index]
            columns.append(
                (yield from contents.texts(tensor, body, typed, convert))
                if tensor.datatype == BYTES
                else (yield from contents.numbers(tensor, body, typed))
            )
            continue
        data = parts.raw[index]
        columns.append(
            (yield from binary_tensors.texts(tensor, body[data.start : data.end], convert))
            if tensor.datatype == BYTES
            else binary_tensors.numbers(tensor, body, data.start, data.end - data.start)
        )
    if plan.layout.columns is not None:
        return (yield from tensors.rows_of_columns(plan.tensors, columns, plan.layout, schema, faults))
    faults.check()
    rows = tensors.rows_at_once(plan.tensors[0], columns[0], schema)
    return rows if isinstance(rows, np.ndarray) else (yield from rows)
