"""JSON: rows in ``{"inputs": …}``, answers in columns."""

from __future__ import annotations

from typing import Final

import orjson

from service.http.codecs import json_images, json_openapi
from service.http.codecs.codec import Codec
from service.http.codecs.json_answers import encode
from service.http.codecs.json_rows import quick_rows, rows_from_json, rows_in_steps
from service.http.options import RowOptions
from service.inference.batcher import Rows
from service.inference.schema import Schema
from service.inference.steps import Steps


def check_example(body: bytes, schema: Schema) -> None:
    """Raise `ValueError` or `RequestError` unless ``body`` is a request of a model with this ``schema``."""
    orjson.loads(body)  # stricter than the decoder of requests, which gives reasons
    rows_from_json(body, schema)


def _decode(body: bytes, options: RowOptions, schema: Schema) -> Rows | Steps[Rows]:
    rows = quick_rows(body, schema)
    if rows is None and json_images.may_have_images(body, schema):
        return json_images.rows_in_steps(body, options, schema)
    return rows_in_steps(body, schema) if rows is None else rows


CODEC: Final = Codec(
    # The second is what `curl -d` sends by default.
    (b"application/json", b"application/x-www-form-urlencoded"),
    _decode,
    lambda models: json_images.described(json_openapi.request(models), models),
    is_text=True,
    encode=encode,
    describe_answer=json_openapi.answer,
    schemas=json_openapi.schemas,
)
