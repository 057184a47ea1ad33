"""multipart/form-data: image files, one row each, as browsers and ``curl -F`` send them.

https://www.rfc-editor.org/rfc/rfc7578 and https://www.rfc-editor.org/rfc/rfc2046#section-5.1. The names of fields and
files do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs import images
from service.http.codecs.codec import Codec
from service.http.codecs.media_types import media_type
from service.http.options import RowOptions
from service.inference.batcher import Rows
from service.inference.schema import Schema
from service.inference.steps import Steps, in_thread

_MAX_BOUNDARY_BYTES: Final = 70
_MAX_HEAD_BYTES: Final = 4096
_HEAD_END: Final = b"\r\n\r\n"
_SEARCH_BYTES: Final = 1024**2  # at once, so that other threads get their turn
_PLAIN: Final = (b"", b"7bit", b"8bit", b"binary")


def files_in(body: bytes, boundary: bytes, max_files: int) -> Steps[list[bytes]]:
    """The contents of the files in a form, in order; at most one more than ``max_files``.

    Raises `MalformedBody` if the body is not a form with this ``boundary``, and `InvalidInput` for what is not a file.
    """
    delimiter = b"\r\n--" + boundary
    # The first delimiter may have no line before it.
    end = -2 if body.startswith(delimiter[2:]) else _find(body, delimiter, 0)
    files: list[bytes] = []
    while len(files) <= max_files:
        if end == -1:
            raise MalformedBody(f"the form is cut off or has another boundary than {boundary!r}; send it again")
        at = end + len(delimiter)
        if body.startswith(b"--", at):
            break
        line_end = body.find(b"\r\n", at, at + _MAX_HEAD_BYTES)
        if line_end < 0 or body[at:line_end].strip(b" \t"):
            raise MalformedBody(f"the boundary before part {len(files)} of the form does not end its line")
        head_end = line_end if body.startswith(_HEAD_END, line_end) else body.find(_HEAD_END, at, at + _MAX_HEAD_BYTES)
        if head_end < 0:
            raise MalformedBody(f"part {len(files)} of the form has no header, or one above {_MAX_HEAD_BYTES} bytes")
        _check_file(body[line_end + 2 : head_end], len(files))
        start = head_end + len(_HEAD_END)
        end = _find(body, delimiter, start)
        files.append(body[start:end])
        yield
    return files


def boundary_in(parameters: Mapping[bytes, bytes]) -> bytes:
    """The boundary in the parameters of a Content-Type. Raises `MalformedBody`."""
    boundary = parameters.get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise MalformedBody(
            f"content-type multipart/form-data has a boundary of {len(boundary)} characters, expected 1 to "
            f"{_MAX_BOUNDARY_BYTES}; let your HTTP client write this header"
        )
    return boundary


def _find(body: bytes, part: bytes, start: int) -> int:
    for at in range(start, len(body), _SEARCH_BYTES):
        found = body.find(part, at, at + _SEARCH_BYTES + len(part) - 1)
        if found >= 0:
            return found
    return -1


def _check_file(head: bytes, part: int) -> None:
    """Raise `InvalidInput` unless a part with the header lines ``head`` is a file, sent as it is."""
    headers = {}
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    disposition = media_type(headers.get(b"content-disposition", b""))
    field = disposition.parameters.get(b"name", b"")[:60].decode("utf-8", "backslashreplace")
    shown = f"part {part} of the form, field {field!r},"
    if disposition.name != b"form-data" or not {b"filename", b"filename*"} & disposition.parameters.keys():
        raise InvalidInput(Fault(f"{shown} is no file; send files alone, and options in the query"))
    if media_type(headers.get(b"content-type", b"")).name.startswith(b"multipart/"):
        raise InvalidInput(Fault(f"{shown} is a form in a form; send each file as a part of its own"))
    encoding = headers.get(b"content-transfer-encoding", b"").lower()
    if encoding not in _PLAIN:
        raise InvalidInput(Fault(f"{shown} has content-transfer-encoding {encoding!r:.60}; send its bytes as they are"))


def _rows(boundary: bytes, body: bytes, options: RowOptions, schema: Schema) -> Steps[Rows]:
    files = yield from files_in(body, boundary, schema.max_rows)
    rows = yield from images.rows_of(files, options, schema)
    return rows


def _decode(body: bytes, options: RowOptions, schema: Schema) -> Steps[Rows]:
    images.require_shape(schema)
    return in_thread(_rows(boundary_in(options.parameters), body, options, schema))


_FORM: Final = {
    "type": "object",
    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "additionalProperties": {"type": "string", "format": "binary"},
}
CODEC: Final = Codec(
    (b"multipart/form-data",),
    _decode,
    lambda models: images.describe(models, _FORM),
)
