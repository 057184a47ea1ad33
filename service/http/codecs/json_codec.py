"""JSON: rows in ``{"inputs": …}``, answers in columns."""

from __future__ import annotations

from typing import Final

import orjson

from service.http.codecs import json_images, json_openapi
from service.http.codecs.codec import Codec, DecodedRows, with_faults
from service.http.codecs.json_answers import encode
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_rows import quick_rows, rows_from_json, rows_in_steps
from service.http.options import RowOptions
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.steps import Steps


def check_example(body: bytes, schema: Schema) -> None:
    """Raise `ValueError` or `RequestError` unless ``body`` is a request of a model with this ``schema``."""
    orjson.loads(body)  # stricter than the decoder of requests, which gives reasons
    rows_from_json(body, schema)


def _decode(body: bytes, options: RowOptions, schema: Schema) -> DecodedRows | Steps[DecodedRows]:
    rows = quick_rows(body, schema, ignore_unknown=options.ignore_unknown)
    if rows is not None:
        return rows
    if json_images.may_have_images(body, schema):
        return json_images.rows_in_steps(body, options, schema)
    if not options.by_row:
        return rows_in_steps(body, RowReader(schema, ignore_unknown=options.ignore_unknown))
    faults = RowFaults()
    reader = RowReader(schema, ignore_unknown=options.ignore_unknown, faults=faults)
    return with_faults(rows_in_steps(body, reader), faults)


CODEC: Final = Codec(
    # The second is what `curl -d` sends by default.
    (b"application/json", b"application/x-www-form-urlencoded"),
    _decode,
    lambda models: json_openapi.request(models, json_images.row_schemas(models)),
    is_text=True,
    encode=encode,
    describe_answer=json_openapi.answer,
    schemas=json_openapi.schemas,
)
