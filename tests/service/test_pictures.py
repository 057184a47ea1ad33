"""The pixels of files of every mode, compared with Pillow's functions on whole images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from PIL import Image

from service import pictures
from service.pictures import PictureError
from tests.service.pictures_drawn import drawn, expected, file_of, files, oriented

SIZES = st.none() | st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(picture=files(), size=SIZES, mode=st.sampled_from(["L", "RGB"]))
@settings(max_examples=400)
def test_every_mode_is_read_as_by_whole_images(
    picture: tuple[str, bytes], size: tuple[int, int] | None, mode: str
) -> None:
    file_format, file = picture
    try:
        found = pictures.read(pictures.opened(file, file_format), size, mode)
    except PictureError:  # a few random pixels can all be white where they are seen
        reject()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected(file, size, mode))
    # Training opens files of any format.
    np.testing.assert_array_equal(found, pictures.read(Image.open(io.BytesIO(file)), size, mode))


def test_a_transparent_picture_of_several_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", 50)
    image, _ = drawn("RGBA", 33, 20, seed=1)
    file = file_of(image, "PNG")
    np.testing.assert_array_equal(pictures.read(pictures.opened(file, "PNG"), None), expected(file, None))


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size() -> None:
    """As training has always done: 1/8 here, of what would be 4 megapixels."""
    image, _ = drawn("RGB", 250, 250, seed=2)
    file = file_of(image.resize((2000, 2000)), "JPEG")
    opened = pictures.opened(file, "JPEG")
    np.testing.assert_array_equal(pictures.read(opened, (28, 28)), expected(file, (28, 28)))
    assert opened.size == (250, 250)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(file_format: str) -> None:
    first, second = (drawn("RGB", 6, 5, seed)[0] for seed in (1, 2))
    file = file_of(first, file_format, save_all=True, append_images=[second])
    np.testing.assert_array_equal(
        pictures.read(pictures.opened(file, file_format), None), np.asarray(first.convert("L"))
    )


def test_of_a_jpeg_of_several_pictures_the_first_is_read() -> None:
    """As phones write them; Pillow opens it as another format."""
    first, second = (drawn("RGB", 16, 24, seed)[0] for seed in (1, 2))
    file = file_of(first, "MPO", save_all=True, append_images=[second])
    found = pictures.read(pictures.opened(file, "JPEG"), None)
    np.testing.assert_array_equal(found, pictures.read(Image.open(io.BytesIO(file)), None))
    assert np.abs(found.astype(int) - np.asarray(first.convert("L"))).mean() < 40


def test_metadata_is_ignored_and_so_are_bytes_after_the_end() -> None:
    image, _ = drawn("L", 6, 5, seed=1)
    for more in ({"icc_profile": b"x" * 2000}, {"comment": "hello"}, {"dpi": (1, 1)}):
        for file_format in ("PNG", "JPEG"):
            file = file_of(image, file_format, **more) + b"trailing" * 99
            plain = file_of(image, file_format)
            found, same = (pictures.read(pictures.opened(each, file_format), None) for each in (file, plain))
            np.testing.assert_array_equal(found, same)


@given(exif=st.binary(max_size=64) | st.binary(max_size=64).map(lambda rest: b"Exif\0\0II*\0\x08\0\0\0" + rest))
def test_damaged_exif_is_ignored(exif: bytes) -> None:
    image, _ = drawn("L", 5, 5, seed=1)
    pictures.read(pictures.opened(file_of(image, "PNG", exif=exif), "PNG"), None)


def test_exif_that_claims_the_same_bytes_for_each_tag_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_arguments: object) -> None:
        raise AssertionError("the tags were parsed")

    monkeypatch.setattr(Image.Exif, "load", parsed)
    image, _ = drawn("L", 5, 7, seed=1)
    file = file_of(image, "JPEG", exif=oriented(6).tobytes())
    assert pictures.read(pictures.opened(file, "JPEG"), None).shape == (7, 5)
