"""Compressed bodies, as in RFC 9110 and zlib."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMedia
from service.http.codecs import compression
from service.inference.steps import finish
from tests.service.errors import error_message


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
    assert compression.is_gzip(sent) == found


@pytest.mark.parametrize(
    "sent", [b"gzip, gzip", b"br", b"deflate", b"gzip;q=1", b"gzip gzip", b"gzip, br", b"*", b"identity," * 20]
)
def test_other_encodings_are_rejected(sent: bytes) -> None:
    fault = f"content-encoding is {sent[:60].decode()!r}, expected gzip, once, or none"
    assert error_message(UnsupportedMedia, compression.is_gzip, sent) == fault


@given(st.binary(max_size=300_000), st.integers(0, 9))
def test_compressed_bodies_are_restored(body: bytes, level: int) -> None:
    assert finish(compression.inflated(gzip.compress(body, level), len(body))) == body
    if body:
        with pytest.raises(BodyTooLarge):
            finish(compression.inflated(gzip.compress(body, level), len(body) - 1))


@given(st.binary(min_size=1, max_size=1000), st.data())
def test_a_damaged_stream_is_rejected_or_read_as_by_zlib(body: bytes, data: st.DataObject) -> None:
    stream = bytearray(gzip.compress(body))
    at = data.draw(st.integers(0, len(stream)))
    stream[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = finish(compression.inflated(bytes(stream), 10**6))
    except MalformedBody:
        return
    whole = zlib.decompressobj(31)
    assert (whole.decompress(bytes(stream)), whole.eof, whole.unused_data) == (found, True, b"")


def test_a_bomb_is_decompressed_in_steps_up_to_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    steps: list[None] = []
    with pytest.raises(BodyTooLarge, match="the body expands to more than 1000000 bytes; send fewer rows at once"):
        steps.extend(compression.inflated(bomb, 1_000_000))
    assert len(steps) == 1_000_000 // compression.STEP_BYTES


def test_a_fault_that_shows_after_all_input_is_consumed() -> None:
    """The output ends at a step, and the rest of the last byte is the end of this block and no beginning of another."""
    head = "1f8b08000000000000ffece0810c000000c020b0de5fe22215"
    stream = bytes.fromhex(head).ljust(len(head) // 2 + 64, b"\0") + b"\x55\x6c"
    assert len(zlib.decompressobj(31).decompress(stream, compression.STEP_BYTES)) == compression.STEP_BYTES
    with pytest.raises(MalformedBody, match="the body is not gzip: invalid block type; send it again"):
        finish(compression.inflated(stream, 10**6))


@pytest.mark.parametrize("tail", [b"x", b"\0" * 70_000, gzip.compress(b"more", mtime=0)])
def test_trailing_bytes_are_rejected(tail: bytes) -> None:
    for size in (0, 10, 65_536, 200_000):
        with pytest.raises(MalformedBody, match="not one whole gzip stream"):
            finish(compression.inflated(gzip.compress(bytes(size), 0) + tail, 10**6))
