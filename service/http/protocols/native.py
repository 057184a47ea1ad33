"""The service's own REST protocol: rows in the encodings of the codec table, options in the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from service.errors import RequestError, UnsupportedMedia
from service.http import options, problems
from service.http.codecs import compression, media_types
from service.http.codecs.codec import Codec, Decode, DecodedRows, Encode, PartialRows
from service.http.codecs.table import CODECS
from service.http.messages import Headers, Request, Response
from service.http.options import Options, RowOptions
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource
from service.inference.model import Model
from service.inference.row_faults import RowFaults
from service.inference.session import Outputs
from service.inference.steps import Steps, finish_on_loop

# Bodies up to this size decode so fast that their steps are taken at once; so do this many steps of a compressed one.
_AT_ONCE_BYTES: Final = 32 * 1024
_AT_ONCE_STEPS: Final = 4
# Longer header values are cut: parsed ones are cached, so their length is bounded.
_HEADER_BYTES: Final = 512
_CACHED: Final = 256
_PREDICT: Final = "/predict"
_CONTENT_ENCODING: Final = {
    "name": "content-encoding",
    "in": "header",
    "required": False,
    "description": "how the body is compressed",
    "schema": {"enum": ["gzip", "identity"]},
}
_PATHS: Final[Mapping[str, Endpoint]] = {
    _PREDICT: Endpoint(
        "Predict Default",
        "The prediction for each row, by the default model: its class, with all probabilities, or its number.",
    ),
    f"/models/{{name}}{_PREDICT}": Endpoint("Predict Model", "The same by the model of that name."),
    f"/models/{{name}}/versions/{{version}}{_PREDICT}": Endpoint(
        "Predict Version", "The same by one version of the model, to be sure which one answers."
    ),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What query and headers ask for. Clients repeat few combinations, so these are cached."""

    options: Options
    codec: Codec
    decode: Decode
    encode: Encode
    headers: Headers  # of the response
    is_gzip: bool
    rows: RowOptions
    timing: bool

    @property
    def faults(self) -> RowFaults | None:
        """The rows that do not fit the model; see `PartialOptions`."""
        return self.options.faults


class NativeProtocol:
    """The protocol of ``/predict``. A body may have ``max_body_bytes`` after decompression."""

    def __init__(self, max_body_bytes: int, codecs: Sequence[Codec] = CODECS) -> None:
        self.paths: Mapping[str, Endpoint] = _PATHS
        self.resources: Mapping[str, Resource] = {}
        self._max_body_bytes = max_body_bytes
        self._codecs = codecs
        self._by_media_type = {name: codec for codec in codecs for name in codec.media_types}
        self._encoders = {codec.media_types[0]: codec for codec in codecs if codec.encode is not None}
        self._default_type = codecs[0].media_types[0]
        self._choices = lru_cache(maxsize=_CACHED)(self._choose)

    def decode(self, request: Request, model: Model) -> Decoded[Choices] | Steps[Decoded[Choices]]:
        """Rows and options; see `WireProtocol`."""
        choices, body = self._choices_of(request, model), request.body
        if choices.is_gzip:
            body_or_steps = self._inflate(body)
            if not isinstance(body_or_steps, bytes):
                return _inflate_later(body_or_steps, choices, model)
            body = body_or_steps
        rows = choices.decode(body, choices.rows, model.schema)
        if isinstance(rows, np.ndarray):
            return rows, choices
        if isinstance(rows, PartialRows):
            return _with_choices(rows, choices)
        later = _decode_later(rows, choices)
        return finish_on_loop(later) if len(body) <= _AT_ONCE_BYTES else later

    def encode(self, outputs: Outputs, choices: Choices, model: Model) -> Response | Steps[Response]:
        """The response; see `WireProtocol`."""
        body = choices.encode(model.manifest, choices.options, outputs)
        if isinstance(body, bytes):
            return Response(200, choices.headers, body)
        return _respond_later(body, choices.headers)

    def error(self, error: RequestError, request_id: str) -> Response:
        """A problem document."""
        return problems.response(error, request_id)

    def body_format(self, request: Request, model: Model) -> BodyFormat:
        """The format of a body; see `WireProtocol`."""
        choices = self._choices_of(request, model)
        if choices.is_gzip:
            return BodyFormat(f"{choices.codec.name}+gzip", None)
        return BodyFormat(choices.codec.name, choices.codec.row_bytes(choices.rows, model.schema))

    def operation(self, models: Sequence[Model]) -> Operation:
        """The OpenAPI documentation, from the codecs and the options."""
        answers: dict[str, Any] = {
            codec.name: codec.describe_answer(models) for codec in self._codecs if codec.describe_answer is not None
        }
        bodies = {codec.name: codec.describe(models) for codec in self._codecs}
        schemas: dict[str, Any] = {}
        for codec in self._codecs:
            schemas |= codec.schemas(models)
        return Operation(
            [*options.parameters(models), _CONTENT_ENCODING],
            {"required": True, "content": {name: each for name, each in bodies.items() if each is not None}},
            {"200": {"description": "Successful Response", "content": answers}, **problems.responses()},
            schemas,
        )

    def _choices_of(self, request: Request, model: Model) -> Choices:
        headers = request.headers
        accept = headers.get(b"accept")
        content_type = headers.get(b"content-type", self._default_type)[:_HEADER_BYTES]
        # Each form has a boundary of its own, which is not worth a place in the cache.
        choices = self._choose if content_type.startswith(b"multipart/") else self._choices
        return choices(
            request.query,
            content_type,
            None if accept is None else accept[:_HEADER_BYTES],
            headers.get(b"content-encoding"),
            len(model.manifest.classes),
        )

    def _choose(
        self,
        query: str | None,
        content_type: bytes,
        accept: bytes | None,
        content_encoding: bytes | None,
        classes: int,
    ) -> Choices:
        chosen = options.from_query(query, classes)
        media = media_types.media_type(content_type)
        codec = self._codec(media)
        rows = RowOptions(
            chosen.dtype,
            chosen.ignore_unknown,
            chosen.by_row,
            self._max_body_bytes,
            media.parameters,
            chosen.resize,
        )
        answer = self._encoders[media_types.preferred(accept or b"", list(self._encoders))]
        assert answer.encode is not None  # noqa: S101 - `_encoders` has only codecs that have it
        is_gzip = content_encoding is not None and compression.is_gzip(content_encoding)
        return Choices(chosen, codec, codec.decode, answer.encode, answer.headers, is_gzip, rows, chosen.timing)

    def _codec(self, media: media_types.Media) -> Codec:
        codec = self._by_media_type.get(media.name)
        if codec is None:
            shown, known = media.name[:60].decode("latin-1"), b", ".join(self._by_media_type).decode()
            raise UnsupportedMedia(f"content-type is {shown!r}, expected one of {known}")
        if codec.is_text:
            media_types.check_charset(media)
        return codec

    def _inflate(self, body: bytes) -> bytes | Steps[bytes]:
        inflating = compression.inflated(body, self._max_body_bytes)
        try:
            for _ in range(_AT_ONCE_STEPS):
                next(inflating)
        except StopIteration as end:
            inflated: bytes = end.value
            return inflated
        return inflating


def _decode_later(rows: Steps[DecodedRows], choices: Choices) -> Steps[Decoded[Choices]]:
    return _with_choices((yield from rows), choices)


def _with_choices(rows: DecodedRows, choices: Choices) -> Decoded[Choices]:
    if isinstance(rows, PartialRows):
        return rows.rows, replace(choices, options=replace(choices.options, faults=rows.faults))
    return rows, choices


def _inflate_later(inflating: Steps[bytes], choices: Choices, model: Model) -> Steps[Decoded[Choices]]:
    body = yield from inflating
    rows = choices.decode(body, choices.rows, model.schema)
    done = rows if isinstance(rows, np.ndarray | PartialRows) else (yield from rows)
    return _with_choices(done, choices)


def _respond_later(body: Steps[bytes], headers: Headers) -> Steps[Response]:
    return Response(200, headers, (yield from body))
