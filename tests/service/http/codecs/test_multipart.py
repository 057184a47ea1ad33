"""Forms of files: as httpx and curl write them, taken apart by another reader, and damaged."""

from __future__ import annotations

import email.parser
import email.policy
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs import multipart
from service.http.codecs.media_types import media_type
from service.http.options import RowOptions
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.http.codecs.test_images import of_shape
from tests.service.pictures_drawn import drawn, file_of

FILES = st.lists(st.tuples(st.text('ab"\\;=é/.', max_size=5), st.binary(max_size=40)), min_size=1, max_size=5)


def form(*files: Any, **fields: str) -> tuple[bytes, bytes]:
    """The Content-Type and body that httpx sends."""
    request = httpx.Request("POST", "http://test", files=list(files), data=fields)
    return request.headers["content-type"].encode(), request.read()


def files_in(content_type: bytes, body: bytes, max_files: int = 100) -> list[bytes]:
    return finish(multipart.files_in(body, multipart.boundary_in(media_type(content_type).parameters), max_files))


def with_headers(*lines: str) -> tuple[bytes, bytes]:
    head = "\r\n".join(['content-disposition: form-data; name="a"; filename="x"', *lines])
    return b"multipart/form-data; boundary=B", f"--B\r\n{head}\r\n\r\n".encode() + b"x\r\n--B--\r\n"


def refusal(content_type: bytes, body: bytes) -> tuple[type[RequestError], str]:
    with pytest.raises(RequestError) as caught:
        files_in(content_type, body)
    return type(caught.value), str(caught.value)


@given(FILES)
def test_files_are_taken_in_order(files: list[tuple[str, bytes]]) -> None:
    sent = form(*((name, (f"x{name}", content)) for name, content in files))
    assert files_in(*sent) == [content for _, content in files]


@given(files=FILES, boundary=st.text("abc'()+_,-./:=?09", min_size=1, max_size=70))
def test_another_reader_finds_the_same_files(files: list[tuple[str, bytes]], boundary: str) -> None:
    parts = [b'content-disposition: form-data; name="a"; filename="b"\r\n\r\n' + content for _, content in files]
    delimiter = b"--" + boundary.encode()
    body = b"".join(b"%b\r\n%b\r\n" % (delimiter, part) for part in parts) + delimiter + b"--\r\nepilogue"
    head = f'content-type: multipart/form-data; boundary="{boundary}"'.encode()
    policy = email.policy.HTTP
    message = email.parser.BytesParser(policy=policy).parsebytes(b"mime-version: 1.0\r\n" + head + b"\r\n\r\n" + body)
    others = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
    if any(b"\r" in content or b"\n" in content for _, content in files):  # it changes line ends
        others = [content for _, content in files]
    if any(delimiter in content for _, content in files):
        return
    assert files_in(head.partition(b": ")[2], body) == others


def test_text_before_and_after_the_form_is_ignored() -> None:
    content_type, body = form(("a", ("x", b"1")))
    assert files_in(content_type, b"preamble\r\n" + body + b"epilogue") == [b"1"]
    assert files_in(content_type, body.replace(b"\r\nContent-Disposition", b" \t\r\nContent-Disposition")) == [b"1"]


@pytest.mark.parametrize("content_type", [b"multipart/form-data", b"multipart/form-data; boundary=" + b"b" * 71])
def test_a_content_type_without_a_boundary_is_refused(content_type: bytes) -> None:
    kind, detail = refusal(content_type, b"")
    assert kind is MalformedBody
    assert detail.endswith("characters, expected 1 to 70; let your HTTP client write this header")


def test_what_is_no_file_is_refused() -> None:
    assert refusal(*form(("a", ("x", b"1")), comment="hello")) == (
        InvalidInput,
        "part 0 of the form, field 'comment', is no file; send files alone, and options in the query",
    )
    assert refusal(*with_headers("content-type: multipart/mixed; boundary=C"))[1].endswith(
        "is a form in a form; send each file as a part of its own"
    )
    assert refusal(*with_headers("content-transfer-encoding: base64"))[1].endswith("send its bytes as they are")
    assert files_in(*with_headers("content-transfer-encoding: binary")) == [b"x"]


@pytest.mark.parametrize("cut", [1, 10, 60, 100, -1, -5, -10])
def test_a_form_that_is_cut_off_is_refused(cut: int) -> None:
    content_type, body = form(("a", ("x", b"1" * 50)))
    assert (
        refusal(content_type, body[: len(body) - 50 if cut == -10 else cut - 4 if cut < 0 else cut])[0] is MalformedBody
    )


def test_parts_with_long_headers_are_refused() -> None:
    assert refusal(*with_headers("x: " + "y" * 5000)) == (
        MalformedBody,
        "part 0 of the form has no header, or one above 4096 bytes",
    )


def decoded(sent: tuple[bytes, bytes], schema: Schema) -> Any:
    options = RowOptions(parameters=media_type(sent[0]).parameters)
    return finish(multipart.CODEC.decode(sent[1], options, schema))  # type: ignore[arg-type]


def test_more_files_than_rows_are_not_read() -> None:
    sent = form(*(("a", ("x", b"1")) for _ in range(50)))
    assert len(files_in(*sent, max_files=3)) == 4
    with pytest.raises(InvalidInput, match="there are 4 rows, expected at most 3"):
        decoded(sent, of_shape(5, 7, max_rows=3))


def test_a_form_of_images_is_decoded_to_rows() -> None:
    pictures = [drawn("L", 5, 7, seed)[0] for seed in range(3)]
    sent = form(*(("image", ("../../etc/passwd", file_of(picture, "PNG"))) for picture in pictures))
    rows = decoded(sent, of_shape(5, 7))
    np.testing.assert_array_equal(rows, [np.asarray(picture).reshape(-1) for picture in pictures])


def test_a_delimiter_is_found_where_two_searches_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "_SEARCH_BYTES", 7)
    for size in range(40):
        assert files_in(*form(("a", ("x", b"1" * size)), ("b", ("y", b"2")))) == [b"1" * size, b"2"]


@given(data=st.data())
@settings(max_examples=500)
def test_a_damaged_form_is_read_or_refused(data: st.DataObject) -> None:
    content_type, body = form(("a", ("x", b"1" * 20)), ("b", ("y", b"2")))
    content = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 30))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\r\n", b"--", b"\r\n\r\n", b":", b'"'])
        )
    try:
        found = files_in(content_type, bytes(content))
    except RequestError:
        return
    assert len(found) <= 3
