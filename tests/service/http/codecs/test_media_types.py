"""Content-Type and Accept, as in RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import UnsupportedMedia
from service.http.codecs import media_types
from tests.service.errors import error_message

JSON, NPY = b"application/json", b"application/x-npy"


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
def test_any_header_is_parsed(sent: bytes) -> None:
    media_types.media_type(sent)
    media_types.preferred(sent, (JSON, NPY))


@pytest.mark.parametrize("charset", [b"utf-8", b"UTF8", b"us-ascii"])
def test_utf8_is_accepted(charset: bytes) -> None:
    media_types.check_charset(media_types.media_type(b"application/json; charset=" + charset))


@pytest.mark.parametrize("charset", [b"utf-16", b"latin-1", b"", b"\xff"])
def test_other_charsets_are_rejected(charset: bytes) -> None:
    media = media_types.media_type(b"application/json; charset=" + charset)
    fault = f"charset is {charset.decode('latin-1')!r}, expected utf-8"
    assert error_message(UnsupportedMedia, media_types.check_charset, media) == fault


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
def test_the_first_type_of_the_highest_quality_is_preferred(accept: bytes, npy: bool) -> None:
    assert media_types.preferred(accept, (JSON, NPY)) == (NPY if npy else JSON)


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        (b"gzip", True),
        (b"br, X-GZIP;q=0.001", True),
        (b"*", True),
        (b"identity;q=0.5, gzip;q=0.5", True),
        (b"identity;q=0.5, gzip;q=0.4", False),
        (b"gzip;q=0, *", False),
        (b"gzip;q=nan", False),
        (b"br" + b" " * 60_000 + b", gzip", False),
        (b"", False),
    ],
)
def test_gzip_is_taken_as_gladly_as_no_encoding(accept_encoding: bytes, gzip: bool) -> None:
    assert media_types.takes_gzip(accept_encoding) == gzip
