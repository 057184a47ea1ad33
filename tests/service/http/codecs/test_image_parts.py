"""Picture files of so many parts that parsing them would take minutes or gigabytes are refused before that."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings

from service.errors import InvalidInput
from service.http.codecs import image_parts, images
from service.http.options import RowOptions
from service.inference.columns import Pixel
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.pictures_drawn import drawn, file_of, files

PIXELS = Schema((5, 7), tuple(Pixel(f"p{index}", missing=False) for index in range(35)), 10, ("uint8",), 255.0)
PNG, JPEG = (file_of(drawn("L", 5, 7, 0)[0], file_format) for file_format in ("PNG", "JPEG"))


def png_with(name: bytes, data: bytes, times: int) -> bytes:
    """The picture with more chunks after its header."""
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return PNG[:33] + chunk * times + PNG[33:]


def jpeg_with(more: bytes) -> bytes:
    """The picture with more bytes before its first segment."""
    return JPEG[:2] + more + JPEG[2:]


def segment(code: int, data: bytes) -> bytes:
    return b"\xff%c" % code + struct.pack(">H", len(data) + 2) + data


# What makes Pillow copy all EXIF data for each, fills a list, and makes a tuple of each three bytes.
EXIF, COMMENT, FRAME = (
    segment(0xE1, b"Exif\0\0x"),
    segment(0xFE, b""),
    segment(0xC0, b"\x08\0\x05\0\x07\x01" + b"\x01\x11\0" * 20_000),
)


@pytest.mark.parametrize(
    ("file", "excess"),
    [
        (png_with(b"tEXt", b"a\0b", 201), "more than 200 chunks of metadata"),
        (png_with(b"zTXt", b"\0\0" + zlib.compress(bytes(2**20)), 201), "more than 200 chunks of metadata"),
        (png_with(b"IDAT", b"", 20_001), "more than 20000 chunks of pixels"),
        (jpeg_with(EXIF * 501), "more than 500 segments before its pixels"),
        (jpeg_with(COMMENT * 501), "more than 500 segments before its pixels"),
        (jpeg_with(b"\xff\xd0" * 501), "more than 500 segments before its pixels"),
        (jpeg_with(FRAME * 2), "more than 65536 bytes of tables"),
        (jpeg_with(b"\xff" * 65_537), "more than 65536 bytes between its segments"),
        (JPEG[:2] + b"\xff\0" * 40_000, "more than 65536 bytes between its segments"),
    ],
)
def test_a_file_of_too_many_parts_is_refused_unread(file: bytes, excess: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        finish(images.rows_of([JPEG, file], RowOptions(), PIXELS))
    assert str(caught.value) == f"row 1 has {excess}; save it again"


@pytest.mark.parametrize(
    "file",
    [
        png_with(b"tEXt", b"a\0b", 190),
        jpeg_with(segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000)) * 40),
        jpeg_with(COMMENT * 490),
        jpeg_with(b"\xff" * 1000),
        jpeg_with(b"\xff\xd0" * 10),
        jpeg_with(segment(0xFE, b"\xff\xda" * 50)),
    ],
)
def test_a_file_of_many_parts_is_read(file: bytes) -> None:
    plain = PNG if file.startswith(PNG[:8]) else JPEG
    found, expected = finish(images.rows_of([file, plain], RowOptions(), PIXELS))
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("file", [b"", PNG[:20], JPEG[:2], JPEG[:20], jpeg_with(b"\xff\x01")])
def test_a_damaged_file_has_no_excess(file: bytes) -> None:
    assert [image_parts.excess(file, each) for each in ("PNG", "JPEG", "WEBP")] == [None] * 3


@given(picture=files(size=(5, 7)))
@settings(max_examples=50)
def test_files_as_they_are_saved_have_no_excess(picture: tuple[str, bytes]) -> None:
    file_format, file = picture
    assert image_parts.excess(file, file_format.upper()) is None
