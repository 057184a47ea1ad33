"""What headers say of bodies, as RFC 9110 has it."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMedia
from service.http.codecs import media_types
from service.inference.steps import finish


@pytest.mark.parametrize(
    ("sent", "name", "charset"),
    [
        (b"application/json", b"application/json", None),
        (b" Application/JSON ; Charset=UTF-8 ", b"application/json", b"UTF-8"),
        (b'application/json;charset="utf-8";charset=latin-1', b"application/json", b"utf-8"),
        (b"application/json;;; charset = x", b"application/json", None),
        (b"", b"", None),
        (b'a/b;x="\\"; charset=y";charset=z', b"a/b", b"z"),
    ],
)
def test_a_type_and_its_parameters(sent: bytes, name: bytes, charset: bytes | None) -> None:
    media = media_types.media_type(sent)
    assert (media.name, media.parameters.get(b"charset")) == (name, charset)


@given(st.binary(max_size=40) | st.text(alphabet=';= "\\ax', max_size=60).map(str.encode))
def test_any_header_is_read(sent: bytes) -> None:
    media_types.media_type(sent)
    media_types.prefers_npy(sent)


@pytest.mark.parametrize("charset", [b"utf-8", b"UTF8", b"us-ascii"])
def test_texts_are_in_utf8(charset: bytes) -> None:
    media_types.check_charset(media_types.media_type(b"application/json; charset=" + charset))


@pytest.mark.parametrize("charset", [b"utf-16", b"latin-1", b"", b"\xff"])
def test_texts_in_another_charset_are_refused(charset: bytes) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        media_types.check_charset(media_types.media_type(b"application/json; charset=" + charset))
    assert str(refused.value) == f"charset is {charset.decode('latin-1')!r}, expected utf-8"


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"gzip", True),
        (b"GZIP ", True),
        (b" gzip\t", True),
        (b"x-gzip", True),
        (b"gzip, identity", True),
        (b"identity,,gzip,", True),
        (b"identity", False),
        (b"", False),
        (b"identity, identity", False),
    ],
)
def test_a_body_is_compressed_once_or_not(sent: bytes, found: bool) -> None:
    assert media_types.is_gzip(sent) == found


@pytest.mark.parametrize(
    "sent", [b"gzip, gzip", b"br", b"deflate", b"gzip;q=1", b"gzip gzip", b"gzip, br", b"*", b"identity," * 20]
)
def test_other_encodings_are_refused(sent: bytes) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        media_types.is_gzip(sent)
    assert str(refused.value) == f"content-encoding is {sent[:60].decode()!r}, expected gzip, once, or none"


@pytest.mark.parametrize(
    ("accept", "npy"),
    [
        (b"application/x-npy", True),
        (b" Application/X-NPY ", True),
        (b"application/x-npy, */*", True),
        (b"application/x-npy, application/json", False),
        (b"application/x-npy, application/json;q=0.9", True),
        (b"application/x-npy;q=0.5, application/json", False),
        (b"application/x-npy;q=0.5, */*;q=0.1", True),
        (b"*/*, application/json;q=0", True),
        (b"application/*;q=0.3, application/x-npy;q=0", False),
        (b"text/html, */*;q=0.8", False),
        (b"text/html", False),
        (b"", False),
        (b"*/*", False),
        (b"application/x-npy;q=2", False),
        (b"application/x-npy;q=nan", False),
        (b"application/x-npy;q=0", False),
        (b"application/x-npy; q=1.000 , a/b", True),
    ],
)
def test_an_array_is_given_to_whoever_prefers_it(accept: bytes, npy: bool) -> None:
    assert media_types.prefers_npy(accept) == npy


@given(st.binary(max_size=300_000), st.integers(0, 9))
def test_what_was_compressed_comes_back(body: bytes, level: int) -> None:
    assert finish(media_types.inflated(gzip.compress(body, level), len(body))) == body
    if body:
        with pytest.raises(BodyTooLarge):
            finish(media_types.inflated(gzip.compress(body, level), len(body) - 1))


@given(st.binary(min_size=1, max_size=1000), st.data())
def test_a_damaged_stream_is_refused_or_holds_what_zlib_says(body: bytes, data: st.DataObject) -> None:
    stream = bytearray(gzip.compress(body))
    at = data.draw(st.integers(0, len(stream)))
    stream[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = finish(media_types.inflated(bytes(stream), 10**6))
    except MalformedBody:
        return
    whole = zlib.decompressobj(31)
    assert (whole.decompress(bytes(stream)), whole.eof, whole.unused_data) == (found, True, b"")


def test_a_bomb_is_opened_a_step_at_a_time_and_no_farther_than_its_bound() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    taken: list[None] = []
    with pytest.raises(BodyTooLarge, match="the body expands to more than 1000000 bytes; send fewer rows at once"):
        taken.extend(media_types.inflated(bomb, 1_000_000))
    assert len(taken) == 1_000_000 // media_types.INFLATE_BYTES


@pytest.mark.parametrize("tail", [b"x", b"\0" * 70_000, gzip.compress(b"more")])
def test_what_comes_after_a_stream_is_refused(tail: bytes) -> None:
    for size in (0, 10, 65_536, 200_000):
        with pytest.raises(MalformedBody, match="not one whole gzip stream"):
            finish(media_types.inflated(gzip.compress(bytes(size), 0) + tail, 10**6))
