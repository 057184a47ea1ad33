"""Images in JSON: ``{"inputs": [{"b64": "…"}]}``, the bytes of files in base64, as TF-Serving's clients send them.

https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any, Final

from service.errors import BodyTooLarge, Fault, InvalidInput, MalformedBody
from service.http.codecs import images
from service.http.codecs.json_text import DECODER
from service.http.options import RowOptions
from service.inference.batcher import Rows
from service.inference.columns import type_name
from service.inference.model import Model
from service.inference.schema import Schema
from service.inference.steps import Steps, in_thread

_MARK: Final = b'"b64"'
_KEYS: Final = ("inputs", "instances")
# Parsing the text holds all threads: 16 ms for this much.
_MAX_BYTES: Final = 32 * 1024**2
# That is for long strings. Base64 has none of these, each of which begins a value.
_BEGIN_VALUES: Final = (b"{", b"[", b",")
_VALUES_A_ROW: Final = 4
_OTHER_VALUES: Final = 1000
# How much base64 is decoded at once, so that other threads get their turn; a multiple of 4.
_PIECE: Final = 256 * 1024
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_SPACE: Final = b" \t\r\n"
_IMAGE: Final = {
    "type": "object",
    "description": "an image file in base64",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "additionalProperties": False,
}
_EXPECTED: Final = 'expected {"b64": "…"}, an image file in base64'


def row_schemas(models: Sequence[Model]) -> list[dict[str, Any]]:
    """The schema of a row that is an image; none if none of these models takes images."""
    return [] if images.describe(models, {}) is None else [_IMAGE]


def may_have_images(body: bytes, schema: Schema) -> bool:
    """Whether to decode a body as images, which is so if it has a key ``b64``, and the model takes images."""
    return images.shape_of(schema) is not None and _MARK in body


def rows_in_steps(body: bytes, options: RowOptions, schema: Schema) -> Steps[Rows]:
    """One row for each image. Raises `MalformedBody`, `InvalidInput` and `BodyTooLarge`."""
    return in_thread(_rows(body, options, schema))


def _rows(body: bytes, options: RowOptions, schema: Schema) -> Steps[Rows]:
    if len(body) > _MAX_BYTES:
        raise BodyTooLarge(f"the JSON has more than {_MAX_BYTES} bytes; send the images as multipart/form-data")
    _check_values(body, schema)
    found = _images_in(body)
    schema.check_count(len(found))
    files = []
    for row, each in enumerate(found):
        files.append((yield from _file(row, each)))
    return (yield from images.rows_of(files, options, schema))


def _check_values(body: bytes, schema: Schema) -> None:
    """Raise `InvalidInput` for so many values that parsing them would take long, and a lot of memory."""
    most = _VALUES_A_ROW * schema.max_rows + _OTHER_VALUES
    if sum(map(body.count, _BEGIN_VALUES)) > most:
        detail = f"the JSON has more than {most} values, too many for {schema.max_rows} images"
        raise InvalidInput(Fault(f"{detail}; send images alone, in several requests"))


def _images_in(body: bytes) -> list[Any]:
    try:
        document = DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the body is not JSON: {error!s:.100}") from error
    if isinstance(document, list):
        return document
    keys = [key for key in _KEYS if key in document] if isinstance(document, dict) else []
    if len(keys) != 1:
        raise InvalidInput(Fault(f'the body is no object {{"inputs": [image, …]}}; {_EXPECTED} as an image'))
    found = document[keys[0]]
    return found if isinstance(found, list) else [found]


def _file(row: int, value: object) -> Steps[bytes]:
    """The bytes of a file in ``{"b64": …}``, or in an object with this as its one value, by the name of an input."""
    if isinstance(value, dict) and len(value) == 1 and "b64" not in value:
        (value,) = value.values()
    if not isinstance(value, dict) or value.keys() != {"b64"} or not isinstance(value["b64"], str):
        what = f"an object with the keys {list(value)!s:.60}" if isinstance(value, dict) else type_name(value)
        raise InvalidInput(Fault(f"row {row} is {what}, {_EXPECTED}", row=row))
    text = value["b64"]
    if text.startswith("data:"):  # https://www.rfc-editor.org/rfc/rfc2397, as a canvas in a browser gives
        text = text.partition(",")[2]
    encoded = text.encode(errors="replace").translate(_URL_SAFE, _SPACE)
    encoded += b"=" * (-len(encoded) % 4)
    file = bytearray()
    try:
        for at in range(0, len(encoded), _PIECE):
            file += binascii.a2b_base64(encoded[at : at + _PIECE], strict_mode=True)
            yield
    except binascii.Error as error:
        detail = f"row {row} is not base64: {error!s:.100}; send the bytes of a PNG, JPEG or WebP file in base64"
        raise InvalidInput(Fault(detail, row=row)) from error
    return bytes(file)
