"""The native protocol's seam for encodings: a codec is one object in the table it is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.errors import UnsupportedMedia
from service.http.codecs.codec import Codec
from service.http.codecs.table import CODECS
from service.http.messages import Request, Response
from service.http.options import RowOptions
from service.http.protocols.native import NativeProtocol
from service.inference.model import Model
from service.inference.schema import Schema
from service.inference.session import Outputs
from tests.service.inference.loading import load_newest
from tests.service.published import publish


def decode_csv(body: bytes, _options: RowOptions, schema: Schema) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows = np.array([line.split(b",") for line in body.splitlines()], np.float64)
    schema.check_count(len(rows))
    return rows


CSV = Codec(
    (b"text/lines",),
    decode_csv,
    lambda models: {"schema": {"description": f"{models[0].schema.width} columns"}},
    is_text=True,
    encode=lambda _manifest, _options, outputs: b"\n".join(b"%d" % index for index in outputs.prediction.tolist()),
    describe_answer=lambda _models: {"schema": {"description": "a class a line"}},
)
PROTOCOL = NativeProtocol(1000, (*CODECS, CSV))


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    publish(tmp_path)
    loaded = load_newest(tmp_path)
    yield loaded
    loaded.close()


def request(**headers: bytes) -> Request:
    return Request(None, None, None, {name.replace("_", "-").encode(): value for name, value in headers.items()}, b"")


def test_another_encoding_is_decoded_encoded_and_documented(model: Model) -> None:
    sent = request(content_type=b"text/lines; charset=utf-8", accept=b"text/lines")
    sent.body = b"1,2,3,4\n5,6,7,8"
    decoded = PROTOCOL.decode(sent, model)
    assert isinstance(decoded, tuple)
    rows, choices = decoded
    assert rows.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    outputs = Outputs(np.zeros((2, 3), np.float32), np.array([2, 0]))
    assert PROTOCOL.encode(outputs, choices, model) == Response(200, ((b"content-type", b"text/lines"),), b"2\n0")
    operation = PROTOCOL.operation([model])
    assert operation.request_body["content"]["text/lines"] == {"schema": {"description": "4 columns"}}
    assert operation.responses["200"]["content"]["text/lines"] == {"schema": {"description": "a class a line"}}


def test_the_error_for_an_unknown_encoding_lists_it(model: Model) -> None:
    with pytest.raises(UnsupportedMedia, match=r"application/x-npy, .*, text/lines"):
        PROTOCOL.decode(request(content_type=b"text/html"), model)
