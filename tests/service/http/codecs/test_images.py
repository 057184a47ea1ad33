"""Images as bodies: read as training reads the same file, and everything else refused before it costs anything."""

from __future__ import annotations

import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.errors import InvalidInput, MalformedBody, RequestError, UnsupportedMedia
from service.http.codecs import images
from service.http.codecs.table import CODECS
from service.http.options import RowOptions
from service.inference.columns import Pixel
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.http.codecs.schemas import TABLE, rows_from_raw
from tests.service.pictures_drawn import drawn, file_of, files, oriented, write
from training.data.images.picture_folder import read_picture
from training.errors import DataError

DECODE = {codec.name: codec.decode for codec in CODECS}
AS_IT_IS, RESIZE = RowOptions(), RowOptions(resize=True)


def of_shape(*shape: int, max_rows: int = 100) -> Schema:
    pixels = tuple(Pixel(f"p{index}", missing=False) for index in range(int(np.prod(shape))))
    return Schema(shape, pixels, max_rows, ("float32", "uint8"), 255.0)


def decoded(
    file: bytes,
    schema: Schema,
    options: RowOptions = AS_IT_IS,
    media_type: str = "image/png",
) -> NDArray[Any]:
    rows = DECODE[media_type](file, options, schema)
    assert not isinstance(rows, np.ndarray)
    found: NDArray[Any] = finish(rows)
    return found


def refusal(*arguments: Any) -> tuple[type[RequestError], str]:
    with pytest.raises(RequestError) as caught:
        decoded(*arguments)
    return type(caught.value), str(caught.value)


def png(width: int, height: int, content: bytes = b"", depth: int = 8, kind: int = 0) -> bytes:
    """A PNG file with any claims."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@given(picture=files(size=(5, 7)))
@settings(max_examples=200)
def test_a_picture_of_the_models_size_is_read_as_in_training(picture: tuple[str, bytes], folder: Path) -> None:
    file_format, file = picture
    media_type = images.FORMATS[file_format].decode()
    try:
        expected = read_picture(write(folder, file), None)
    except DataError:  # a few random pixels can all be white where they are seen
        reject()
    np.testing.assert_array_equal(decoded(file, of_shape(5, 7), media_type=media_type), expected.reshape(1, -1))


@given(picture=files())
@settings(max_examples=200)
def test_a_picture_of_any_size_is_resized_as_in_training(picture: tuple[str, bytes], folder: Path) -> None:
    file_format, file = picture
    media_type = images.FORMATS[file_format].decode()
    try:
        expected = read_picture(write(folder, file), (4, 6))
    except DataError:
        reject()
    np.testing.assert_array_equal(decoded(file, of_shape(4, 6), RESIZE, media_type), expected.reshape(1, -1))


def test_pixels_of_png_are_those_of_raw_rows() -> None:
    image, _ = drawn("L", 5, 7, seed=3)
    pixels = np.asarray(image)
    found = decoded(file_of(image, "PNG"), of_shape(5, 7))
    raw = rows_from_raw(pixels.tobytes(), "uint8", of_shape(5, 7))
    assert (found.dtype, found.tobytes()) == (raw.dtype, raw.tobytes())
    np.testing.assert_array_equal(decoded(file_of(image, "PNG"), of_shape(5, 7, 1)), found)


def test_a_model_of_colours_gets_colours() -> None:
    image, _ = drawn("RGB", 5, 7, seed=3)
    np.testing.assert_array_equal(decoded(file_of(image, "PNG"), of_shape(5, 7, 3)), np.asarray(image).reshape(1, -1))


@pytest.mark.parametrize("schema", [TABLE, of_shape(35), of_shape(5, 7, 2), Schema((5, 7), of_shape(5, 7).columns, 9)])
def test_a_model_of_other_rows_takes_no_images(schema: Schema) -> None:
    assert images.shape_of(schema) is None
    kind, detail = refusal(b"", schema)
    assert kind is UnsupportedMedia
    assert detail == f"this model takes rows of {schema.width} values, and no images; send application/json"


def test_another_size_is_refused_with_both_sizes() -> None:
    for image, found in ((drawn("L", 7, 5, 0)[0], "7 x 5"), (drawn("L", 60, 70, 0)[0], "60 x 70")):
        assert refusal(file_of(image, "PNG"), of_shape(5, 7)) == (
            InvalidInput,
            f"the image has {found} pixels (height x width), expected 5 x 7; send it in this size, or with "
            "?resize=true",
        )


def test_a_picture_that_exif_turns_must_have_the_size_after_it() -> None:
    image, _ = drawn("L", 5, 7, seed=3)
    file = file_of(image, "PNG", exif=oriented(6))
    assert "has 7 x 5 pixels" in refusal(file, of_shape(5, 7))[1]
    assert decoded(file, of_shape(7, 5)).shape == (1, 35)


def test_white_on_transparent_is_refused_as_in_training(folder: Path) -> None:
    image = Image.new("RGBA", (7, 5), "white")
    image.putalpha(drawn("L", 5, 7, seed=3)[0])
    file = file_of(image, "PNG")
    kind, detail = refusal(file, of_shape(5, 7))
    with pytest.raises(DataError) as caught:
        read_picture(write(folder, file), None)
    assert kind is InvalidInput
    assert detail.removeprefix("the image ") == str(caught.value).removeprefix(f"{folder / 'picture.png'} ")


@pytest.mark.parametrize(
    ("file", "detail"),
    [
        (b"", "the image is no PNG, JPEG or WebP file: it is empty; convert it, or send its pixels as JSON"),
        (
            b"GIF89a\x01\x00\x01",
            "the image is no PNG, JPEG or WebP file: it begins with b'GIF89a\\x01\\x00'; convert it, or send its "
            "pixels as JSON",
        ),
        (
            file_of(drawn("L", 5, 7, 0)[0], "JPEG"),
            "the body is a JPEG file, and content-type is image/png; send content-type: image/jpeg",
        ),
        (
            file_of(drawn("L", 5, 7, 0)[0], "PNG")[:60],
            "the image cannot be read as PNG (image file is truncated); save it again",
        ),
    ],
)
def test_what_is_no_png_file_is_malformed(file: bytes, detail: str) -> None:
    assert refusal(file, of_shape(5, 7)) == (MalformedBody, detail)


@pytest.mark.parametrize("options", [RowOptions(), RESIZE])
@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (1, 25_000_001), (0, 7), (7, 0)])
def test_a_header_that_claims_many_pixels_or_none_is_refused_at_once(
    size: tuple[int, int], options: RowOptions
) -> None:
    started_s = time.perf_counter()
    kind, _ = refusal(png(*size), of_shape(5, 7), options)
    assert kind in {InvalidInput, MalformedBody}
    assert time.perf_counter() - started_s < 1


def test_a_small_file_of_many_pixels_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = zlib.compressobj(9)
    content = b"".join(zeros.compress(bytes(2**20)) for _ in range(64)) + zeros.flush()
    bomb = png(32768, 32768, content)
    assert len(bomb) < 100_000
    monkeypatch.setattr("service.pictures.read", None)
    assert "expected at most 25,000,000 pixels; scale it down" in refusal(bomb, of_shape(5, 7), RESIZE)[1]


@pytest.mark.parametrize("chunks", [200, 3000])
def test_a_jpeg_of_many_scans_is_refused_unread(chunks: int) -> None:
    """Each scan of a progressive file touches all of its pixels, and has a few bytes."""
    file = file_of(drawn("RGB", 5, 7, 0)[0], "JPEG", progressive=True)
    at = file.rindex(b"\xff\xda")
    bomb = file[:at] + file[at:-2] * chunks + file[-2:]
    assert refusal(bomb, of_shape(5, 7), RESIZE, "image/jpeg") == (
        InvalidInput,
        "the image has more than 100 scans; save it again",
    )


def test_rows_that_take_much_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_MAX_ROWS_BYTES", 100)
    file = file_of(drawn("L", 5, 7, 0)[0], "PNG")
    assert len(finish(images.rows_of([file] * 2, RowOptions(), of_shape(5, 7)))) == 2
    with pytest.raises(RequestError, match=r"there are 3 images of 35 values, expected at most 2; send fewer at once"):
        finish(images.rows_of([file] * 3, RowOptions(), of_shape(5, 7)))


def test_of_several_files_the_first_bad_one_is_named() -> None:
    good = file_of(drawn("L", 5, 7, 0)[0], "PNG")
    for bad, detail in ((b"hello", "row 1 is no PNG"), (good[:60], "row 1 cannot be read as PNG")):
        with pytest.raises(InvalidInput, match=detail) as caught:
            finish(images.rows_of([good, bad, good], RowOptions(), of_shape(5, 7)))
        assert caught.value.fault.row == 1


def test_without_pillow_images_are_refused_and_not_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(drawn("L", 5, 7, 0)[0], "PNG")
    monkeypatch.setitem(sys.modules, "service.pictures", None)
    monkeypatch.delattr("service.pictures", raising=False)
    assert refusal(file, of_shape(5, 7)) == (
        UnsupportedMedia,
        "this server cannot decode images, as Pillow is not installed; install it with: "
        "pip install 'mlp-serving[images]'",
    )


@given(data=st.data())
@settings(max_examples=400)
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    file_format, whole = data.draw(files(12))
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=3))
    try:
        found = decoded(bytes(content), of_shape(4, 6), RESIZE, images.FORMATS[file_format].decode())
    except RequestError:
        return
    assert (found.shape, found.dtype) == ((1, 24), np.uint8)
