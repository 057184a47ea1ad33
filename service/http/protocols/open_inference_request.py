"""A V2 inference request: its body to rows, and to what it asks of the response.

Clients repeat the JSON of their requests, apart from the data and the id. A `Plan` keeps what it means for a model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput, InvalidOption
from service.http.codecs import binary_tensors, json_tensors
from service.http.codecs.json_tensors import Split
from service.http.protocols import open_inference_answer, open_inference_head
from service.http.protocols.base import Decoded
from service.http.protocols.open_inference_answer import Choices
from service.http.protocols.open_inference_head import Head
from service.inference import tensors
from service.inference.batcher import Rows
from service.inference.model import Model
from service.inference.row_faults import FirstBadRow
from service.inference.schema import Schema
from service.inference.steps import Steps, finish
from service.inference.tensors import BOOL, BYTES, DATATYPE_OF, DTYPES, Layout, Tensor

# JSON of up to this size is split at once.
_WHOLE_BYTES: Final = 256 * 1024
# Bodies of up to this size decode so fast that their steps are taken at once.
_AT_ONCE_BYTES: Final = 32 * 1024
_MAX_DIGITS: Final = 12
_ID: Final = re.compile(rb'\{ ?"id": ?("[ !#-\[\]-~]{0,128}+"), ?')


class Plan(NamedTuple):
    """What the JSON of a request means for a model: how its tensors fill the rows, and what it asks of the response."""

    head: Head
    layout: Layout
    choices: Choices


def decode(body: bytes, length: bytes | None, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
    """The rows of ``body``, and what it asks of the response; in steps if that takes long.

    ``length`` is the header with the bytes of the JSON, if there is one. Raises `RequestError`.
    """
    json_bytes = len(body) if length is None else _json_bytes(length, len(body))
    if json_bytes == 0 and length is not None:
        return _decode_raw(body, model)
    if json_bytes > _WHOLE_BYTES:
        return _decode_in_steps(body, json_bytes, model)
    split = json_tensors.split_at_once(body if json_bytes == len(body) else body[:json_bytes], model.schema.most_keys)
    plan, choices = _plan_of(split, model)
    rows = _rows(plan, split.data, body, json_bytes, model.schema)
    if isinstance(rows, np.ndarray):
        return rows, choices
    return (finish(rows), choices) if len(body) <= _AT_ONCE_BYTES else _later(rows, choices)


def _decode_in_steps(body: bytes, json_bytes: int, model: Model) -> Steps[Decoded[Choices]]:
    split = yield from json_tensors.split(body[:json_bytes], model.schema.most_keys)
    plan, choices = _plan_of(split, model)
    rows = _rows(plan, split.data, body, json_bytes, model.schema)
    return rows if isinstance(rows, np.ndarray) else (yield from rows), choices


def _later(rows: Steps[Rows], choices: Choices) -> Steps[Decoded[Choices]]:
    return (yield from rows), choices


def _json_bytes(length: bytes, body_bytes: int) -> int:
    json_bytes = int(length) if length.isdigit() and len(length) <= _MAX_DIGITS else math.inf
    if json_bytes > body_bytes:
        shown = length[:60].decode("latin-1")
        raise InvalidOption(
            f"header Inference-Header-Content-Length is {shown!r}, expected the bytes of the JSON, at most the body's "
            f"{body_bytes}"
        )
    return int(json_bytes)


def _plan_of(split: Split, model: Model) -> tuple[Plan, Choices]:
    """The plan of a request, from the model's cache if it has it, and what this request asks of the response."""
    skeleton, request_id = split.skeleton, None
    match = _ID.match(skeleton) if b'"id"' in skeleton[:6] else None
    if match is not None:
        skeleton, request_id = b"{%b" % skeleton[match.end() :], match[1]
    plan: Plan | None = model.plans.get(skeleton)
    if plan is None:
        plan = _planned(skeleton, len(split.data), model)
        model.keep_plan(skeleton, plan)
    if request_id is None:
        return plan, plan.choices
    if plan.choices.request_id is not None:
        raise InvalidInput(Fault("the key 'id' is duplicated; send it once"))
    return plan, replace(plan.choices, request_id=request_id)


def _planned(skeleton: bytes, lists: int, model: Model) -> Plan:
    head = open_inference_head.parse(skeleton, lists, model.schema.most_keys)
    found = tensors.layout(head.tensors, model.schema)
    return Plan(head, found, open_inference_answer.choices_of(head, model.manifest))


def _decode_raw(body: bytes, model: Model) -> Decoded[Choices]:
    """A body that is one row of the one input; all outputs are binary."""
    schema = model.schema
    sizes = {schema.width * DTYPES[DATATYPE_OF[name]].itemsize: name for name in schema.raw_dtypes}
    if len(body) not in sizes:
        expected = " or ".join(f"{size} of {name}" for size, name in sizes.items())
        raise InvalidInput(Fault(f"the body has {len(body)} bytes, expected one row: {expected}"))
    tensor = Tensor(tensors.INPUT, DATATYPE_OF[sizes[len(body)]], (1, schema.width))
    rows = tensors.rows_at_once(tensor, binary_tensors.numbers(tensor, body, 0, len(body)), schema)
    choices = open_inference_answer.choices_of(open_inference_head.ALL_BINARY, model.manifest)
    return rows if isinstance(rows, np.ndarray) else finish(rows), choices


def _rows(plan: Plan, data: list[bytes], body: bytes, json_bytes: int, schema: Schema) -> Rows | Steps[Rows]:
    """The rows of a request's inputs, whose data are in ``data``, or in ``body`` from ``json_bytes`` on."""
    head = plan.head
    if head.binary_bytes != len(body) - json_bytes:
        raise _wrong_size(head.binary_bytes, len(body) - json_bytes)
    if plan.layout.columns is None:
        tensor, binary_bytes = head.inputs[0]
        if tensor.datatype != BYTES:
            if binary_bytes is not None:
                values = binary_tensors.numbers(tensor, body, json_bytes, binary_bytes)
                return tensors.rows_at_once(tensor, values, schema)
            if DTYPES[tensor.datatype].kind == "f" and tensor.datatype != "FP16":
                numbers = json_tensors.numbers_at_once(data[0], tensor.shape)
                if numbers is not None:
                    return tensors.rows_at_once(tensor, numbers, schema)
    return _rows_in_steps(plan, data, body, json_bytes, schema)


def _rows_in_steps(plan: Plan, data: list[bytes], body: bytes, json_bytes: int, schema: Schema) -> Steps[Rows]:
    head, found = plan.head, plan.layout
    texts, at, columns, faults = iter(data), json_bytes, [], FirstBadRow()
    for place, (tensor, binary_bytes) in enumerate(head.inputs):
        convert = tensors.converter(tensor, None if found.columns is None else found.columns[place], schema, faults)
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
        return (yield from tensors.rows_of_columns(head.tensors, columns, found, schema, faults))
    faults.check()
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
