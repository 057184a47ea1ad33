"""Images in JSON, as TF-Serving's clients, browsers and shells write base64."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs import json_images
from service.http.codecs.table import CODECS
from service.http.options import RowOptions
from service.inference.schema import Schema
from tests.service.http.codecs.schemas import complete
from tests.service.http.codecs.test_images import of_shape
from tests.service.pictures_drawn import drawn, file_of

PICTURES = [drawn("L", 5, 7, seed)[0] for seed in range(3)]
PIXELS = np.array([np.asarray(picture).reshape(-1) for picture in PICTURES])
FILES = [file_of(picture, "PNG") for picture in PICTURES]
B64 = [base64.b64encode(file).decode() for file in FILES]
SCHEMA = of_shape(5, 7)


def decoded(body: object, schema: Schema = SCHEMA) -> NDArray[Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return complete(CODECS[0].decode(content, RowOptions(), schema))


def refusal(body: object, schema: Schema = SCHEMA) -> tuple[type[RequestError], str]:
    with pytest.raises(RequestError) as caught:
        decoded(body, schema)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [{"b64": each} for each in B64]},
        {"signature_name": "serving_default", "instances": [{"image_bytes": {"b64": each}} for each in B64]},
        {"inputs": [{"b64": f"data:image/png;base64,{each}"} for each in B64]},
        {"inputs": [{"b64": base64.encodebytes(file).decode()} for file in FILES]},
        {"inputs": [{"b64": base64.urlsafe_b64encode(file).decode().rstrip("=")} for file in FILES]},
        json.dumps({"inputs": [{"b64": each} for each in B64]}).replace("/", "\\/").encode(),
        json.dumps({"inputs": [{"b64": each} for each in B64]}, indent=2).encode("utf-8-sig"),
    ],
)
def test_each_way_to_write_images_gives_their_pixels(body: object) -> None:
    np.testing.assert_array_equal(decoded(body), PIXELS)


def test_a_single_image_needs_no_list() -> None:
    np.testing.assert_array_equal(decoded({"inputs": {"b64": B64[1]}}), PIXELS[1:2])


def test_base64_is_decoded_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_images, "_PIECE", 8)
    np.testing.assert_array_equal(decoded({"inputs": [{"b64": each} for each in B64]}), PIXELS)


def test_pixels_in_json_are_decoded_as_before() -> None:
    np.testing.assert_array_equal(decoded({"inputs": PIXELS.tolist()}), PIXELS)


def test_a_table_may_have_a_column_of_this_name() -> None:
    table = Schema((1,), (type(SCHEMA.columns[0])("b64", missing=False),), 10)
    np.testing.assert_array_equal(decoded({"inputs": [{"b64": 7}]}, table), [[7]])


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (
            {"inputs": [{"b64": B64[0]}, [1, 2]]},
            InvalidInput,
            'row 1 is a list, expected {"b64": "…"}, an image file in base64',
        ),
        (
            {"inputs": [{"b64": B64[0], "key": 1}]},
            InvalidInput,
            "row 0 is an object with the keys ['b64', 'key'], expected {\"b64\": \"…\"}, an image file in base64",
        ),
        (
            {"inputs": [{"b64": 3}]},
            InvalidInput,
            'row 0 is an object with the keys [\'b64\'], expected {"b64": "…"}, an image file in base64',
        ),
        ({"inputs": [{"b64": B64[0]}, {"b64": "###"}]}, InvalidInput, "row 1 is not base64: "),
        ({"inputs": [{"b64": B64[0]}, {"b64": ""}]}, InvalidInput, "row 1 is no PNG, JPEG or WebP file: it is empty"),
        ({"inputs": [{"b64": "\ud800"}]}, InvalidInput, "row 0 is not base64: "),
        ({"outputs": [{"b64": ""}]}, InvalidInput, 'the body is no object {"inputs": [image, …]}; '),
        ([{"b64": ""}], InvalidInput, "row 0 is no PNG, JPEG or WebP file: it is empty"),
        ({"b64": ""}, InvalidInput, 'the body is no object {"inputs": [image, …]}; '),
        (b'{"inputs": [{"b64": "', MalformedBody, "the body is not JSON: "),
        (b'{"inputs": [{"b64": "\xff"}]}', MalformedBody, "the body is not UTF-8: byte 21 is 0xff"),
        (b'{"inputs": [{"b64": "", "b64": ""}]}', MalformedBody, "the key 'b64' is duplicated in one object; "),
    ],
)
def test_what_is_no_image_is_refused(body: object, kind: type[RequestError], detail: str) -> None:
    found = refusal(body)
    assert found[0] is kind
    assert found[1].startswith(detail)


@pytest.mark.parametrize("value", [b"[]", b"{}", b"0", b'{"b64":""}'])
def test_many_values_are_refused_before_they_are_parsed(value: bytes) -> None:
    body = b'{"inputs":[{"b64":""},%b' % b",".join([value] * 50_000)  # it is no JSON
    expected = f"the JSON has more than {4 * SCHEMA.max_rows + 1000} values, too many for {SCHEMA.max_rows} images; "
    assert refusal(body) == (InvalidInput, expected + "send images alone, in several requests")


def test_too_many_images_and_too_much_json_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"inputs": [{"b64": each} for each in B64]}
    assert refusal(body, of_shape(5, 7, max_rows=2))[1].startswith("there are 3 rows, expected at most 2")
    monkeypatch.setattr(json_images, "_MAX_BYTES", 100)
    assert refusal(body)[1] == "the JSON has more than 100 bytes; send the images as multipart/form-data"


@given(data=st.data())
@settings(max_examples=300)
def test_a_damaged_body_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(json.dumps({"inputs": [{"b64": each} for each in B64]}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b'"b64"', b"null", b"[", b"{", b'"'])
        )
    try:
        found = decoded(bytes(content))
    except RequestError:
        return
    assert found.shape[1] == 35
