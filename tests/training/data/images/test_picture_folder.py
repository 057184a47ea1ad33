"""Loading a folder of pictures, compared with the arrays they were made from, and rejecting others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.training.data.errors import message_of
from training.data.dataset import TEST
from training.data.images import picture_folder
from training.errors import DataError

HEIGHT, WIDTH = 5, 7


def grey(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def put(folder: Path, name: str, pixels: NDArray[Any], **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two pictures."""
    folder = tmp_path / "my shoes"
    for seed, name in enumerate(("boot/b.png", "boot/a.png", "sandal/1.PNG", "sandal/2.bmp")):
        put(folder, name, grey(seed))
    return folder


def rejection(folder: Path, size: tuple[int, int] | None = None) -> str:
    """Return the message, with FOLDER for the path."""
    return message_of(picture_folder.load, folder, size).replace(str(folder), "FOLDER")


def test_pictures_are_sorted_by_name_and_labelled_by_folder(folder: Path) -> None:
    dataset = picture_folder.load(folder, None)
    expected = [grey(seed).flatten() for seed in (1, 0, 2, 3)]
    assert np.array_equal(dataset.inputs, expected)
    assert (dataset.inputs.dtype, dataset.shape) == (np.uint8, (HEIGHT, WIDTH))
    assert dataset.labels == ("boot", "sandal")
    assert dataset.targets.tolist() == [0, 0, 1, 1]
    assert (dataset.name, len(dataset.division.rows_of(TEST)), dataset.target_names) == ("my-shoes", 0, ("class",))
    assert [dataset.columns[0].name, dataset.columns[-1].name] == ["pixel_0_0", "pixel_4_6"]
    assert dataset.notes == ("4 images of 5 x 7 pixels, 2 classes (boot, sandal)",)
    assert {name: dataset.source[name] for name in ("name", "pictures")} == {"name": "my shoes", "pictures": 4}


def test_hash_covers_pixels_and_labels(folder: Path) -> None:
    first = picture_folder.load(folder, None).source["sha256"]
    assert picture_folder.load(folder, None).source["sha256"] == first
    (folder / "boot/a.png").rename(folder / "sandal/0.png")
    assert picture_folder.load(folder, None).source["sha256"] != first


def test_test_folder_is_the_test_split(folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    folder.rename(whole / "train")
    put(whole, "test/sandal/x.png", grey(9))
    dataset = picture_folder.load(whole, None)
    assert (len(dataset.division.rows_of(TEST)), dataset.targets.tolist()) == (1, [0, 0, 1, 1, 1])
    assert np.array_equal(dataset.inputs[-1], grey(9).flatten())
    put(whole, "test/slipper/x.png", grey(9))
    assert rejection(whole) == "FOLDER has class 'slipper' only in its test split; move some of its images to training"


def test_colour_is_converted_to_luma(folder: Path) -> None:
    """With the weights of https://www.itu.int/rec/R-REC-BT.601, as in Pillow and OpenCV."""
    colour = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    put(folder, "boot/c.png", colour)
    found = picture_folder.load(folder, None).inputs[2].reshape(HEIGHT, WIDTH)
    assert np.abs(found - colour @ [0.299, 0.587, 0.114]).max() <= 1


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".pgm"])
def test_other_formats_are_lossless(folder: Path, suffix: str) -> None:
    put(folder, f"boot/c{suffix}", grey(5), **({"lossless": True} if suffix == ".webp" else {}))
    assert np.abs(picture_folder.load(folder, None).inputs[2].astype(int) - grey(5).flatten()).max() <= 1


def test_exif_orientation_is_applied(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be rotated by 90 degrees clockwise
    put(folder, "boot/c.png", np.rot90(grey(5)), exif=exif)
    assert np.array_equal(picture_folder.load(folder, None).inputs[2], grey(5).flatten())


def test_pictures_are_resized(folder: Path) -> None:
    put(folder, "boot/large.jpg", np.full((900, 1400, 3), 90, np.uint8))
    put(folder, "boot/small.png", np.full((2, 3), 200, np.uint8))
    dataset = picture_folder.load(folder, (4, 6))
    assert dataset.shape == (4, 6)
    found = dict(zip(("a", "b", "large", "small"), dataset.inputs, strict=False))
    assert np.abs(found["large"].astype(int) - 90).max() <= 1
    assert (found["small"] == 200).all()
    expected = np.asarray(Image.fromarray(grey(1)).resize((6, 4), Image.Resampling.BILINEAR))
    assert np.array_equal(found["a"].reshape(4, 6), expected)


def test_track_sees_every_picture(folder: Path) -> None:
    seen = []

    @contextlib.contextmanager
    def track(items: Iterable[Any], count: int) -> Iterator[Iterable[Any]]:
        yield (seen.append(count) or item for item in items)

    picture_folder.load(folder, None, track)
    assert seen == [4] * 4


def test_ignored_files_are_listed(folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    (folder / "boot/.DS_Store").write_text("x")
    (folder / ".cache").mkdir()
    (folder / ".cache/x.png").write_text("x")
    put(folder, "boot/old/a.png", grey(0))
    put(folder, "cover.png", grey(0))
    assert len(picture_folder.load(folder, None).inputs) == 4
    assert picture_folder.load(folder, None).notes[1] == (
        "ignored, not pictures (.png .jpg .jpeg .bmp .gif .webp .pgm) in a class folder: "
        "boot/old/a.png, cover.png, notes.txt"
    )
    (folder / "other.txt").write_text("x")
    assert picture_folder.load(folder, None).notes[1].endswith("boot/old/a.png, cover.png, notes.txt and 1 more")


def test_folder_without_classes_or_pictures_is_rejected(tmp_path: Path) -> None:
    assert rejection(tmp_path) == "FOLDER has no folders, expected one per class, with its pictures"
    (tmp_path / "boot").mkdir()
    assert rejection(tmp_path) == (
        "FOLDER/boot has no pictures (.png .jpg .jpeg .bmp .gif .webp .pgm); add some or remove the folder"
    )
    assert rejection(tmp_path / "gone") == "FOLDER cannot be read: No such file or directory"


def test_different_sizes_are_rejected(folder: Path) -> None:
    put(folder, "sandal/0.png", grey(0, 6, 7))
    assert rejection(folder) == (
        "FOLDER/sandal/0.png is 6 x 7 pixels (height x width) and FOLDER/boot/a.png 5 x 7, expected one size for all; "
        "resize them with --image-size HEIGHT WIDTH"
    )


def test_large_pictures_require_an_image_size(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", grey(0, 129, 3))
    assert rejection(tmp_path) == (
        "FOLDER/a/1.png is 129 x 3 pixels, expected at most 128 per edge; resize all, such as with --image-size 28 28"
    )
    assert picture_folder.load(tmp_path, (129, 3)).shape == (129, 3)


ALPHA = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)


def drawn(colour: tuple[int, int, int], alpha: NDArray[np.uint8] = ALPHA) -> Image.Image:
    """Return one colour with the drawing in the alpha channel, such as black on transparent."""
    image = Image.new("RGB", alpha.shape[::-1], colour)
    image.putalpha(Image.fromarray(alpha))
    return image


def test_alpha_channel_is_composited_on_white(folder: Path) -> None:
    for name, picture, expected in (
        ("rgba.png", drawn((0, 0, 0)), 255 - ALPHA),
        ("la.png", drawn((0, 0, 0)).convert("LA"), 255 - ALPHA),
        ("grey.webp", drawn((100, 100, 100)), 255 - ALPHA * (155 / 255)),
        ("opaque.png", drawn((9, 9, 9), np.full_like(ALPHA, 255)), np.full(ALPHA.shape, 9)),
        ("nothing.png", drawn((0, 0, 0), np.zeros_like(ALPHA)), np.full(ALPHA.shape, 255)),
    ):
        picture.save(folder / name, **({"lossless": True, "exact": True} if name.endswith("webp") else {}))
        assert np.abs(picture_folder.read_picture(folder / name, None) - expected).max() <= 1, name


@pytest.mark.parametrize("name", ["p.png", "p.gif", "l.png", "rgb.png"])
def test_transparent_colour_becomes_white(folder: Path, name: str) -> None:
    """Palettes and PNG's transparent colour, here that of the black left half."""
    halves = np.zeros((4, 6), np.uint8)
    halves[:, 3:] = 1
    images: dict[str, tuple[Image.Image, Any]] = {
        "p": (Image.fromarray(halves).convert("P"), 0),
        "l": (Image.fromarray(halves * 77), 0),
        "rgb": (Image.fromarray(np.stack([halves * 77] * 3, axis=2)), (0, 0, 0)),
    }
    image, transparent = images[name.partition(".")[0]]
    if image.mode == "P":
        image.putpalette([0, 0, 0, 77, 77, 77])
    image.save(folder / name, transparency=transparent)
    found = picture_folder.read_picture(folder / name, None)
    assert (found[:, :3] == 255).all()
    assert (found[:, 3:] == 77).all()


def test_white_on_transparent_is_rejected(folder: Path) -> None:
    drawn((255, 255, 255)).save(folder / "boot/white.png")
    assert rejection(folder) == (
        "FOLDER/boot/white.png is white on transparent, which is invisible on white; give it a black background"
    )


def test_first_error_stops_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the pictures that the threads have already begun are still read."""
    for number in range(2000):
        (folder / f"boot/x{number}.png").write_bytes(b"")
    (folder / "boot/a.png").write_text("hello")
    read: list[Path] = []
    real = picture_folder.read_picture
    monkeypatch.setattr(picture_folder, "read_picture", lambda path, size: read.append(path) or real(path, size))
    assert rejection(folder).startswith("FOLDER/boot/a.png cannot be read as a picture")
    assert len(read) < 2000


def test_of_16_bits_the_upper_8_are_read(folder: Path) -> None:
    put(folder, "boot/c.png", grey(5).astype(np.uint16) * 256 + 255)
    assert np.array_equal(picture_folder.load(folder, None).inputs[2], grey(5).flatten())


def test_pixels_of_more_than_16_bits_are_rejected(folder: Path) -> None:
    (folder / "boot/c.pgm").write_bytes(b"P5 7 5 40000\n" + bytes(70))
    assert rejection(folder) == (
        "FOLDER/boot/c.pgm has pixels of mode 'I', expected 8 or 16 bits per channel; convert it"
    )


def test_picture_of_very_many_pixels_is_rejected_unread(folder: Path) -> None:
    """The header of a file without pixels claims 3.6 GB of them."""
    (folder / "boot/c.pgm").write_bytes(b"P5 60000 60000 255\n")
    assert "FOLDER/boot/c.pgm cannot be read as a picture (Image size (3600000000 pixels) exceeds" in rejection(folder)


def test_file_that_is_not_a_picture_is_rejected(folder: Path) -> None:
    (folder / "boot/c.png").write_text("hello")
    assert rejection(folder).startswith("FOLDER/boot/c.png cannot be read as a picture (cannot identify image file")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # damaged headers may claim any size
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp", ".pgm"])
@given(data=st.data())
@settings(max_examples=60)
def test_damaged_picture_is_read_or_rejected(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    whole = put(tmp_path, f"whole{suffix}", grey(0, 12, 9)).read_bytes()
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for index in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        if index < len(content):
            content[index] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        found = picture_folder.read_picture(path, (4, 4))
        assert (found.shape, found.dtype) == ((4, 4), np.uint8)
