"""Loading images from an .npz file, and rejecting files with other content."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.errors import message_of
from training.data.dataset import TEST
from training.data.images import arrays
from training.errors import DataError

IMAGES = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3)
LABELS = np.array([10, 9, 10, 9, 10, 9])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my digits.npz"


def rejection(path: Path, **content: Any) -> str:
    """Return the message, with FILE for the path."""
    if content:
        np.savez(path, **content)
    return message_of(arrays.load, path).replace(str(path), "FILE")


def test_images_and_labels_are_loaded(path: Path) -> None:
    np.savez(path, images=IMAGES, labels=LABELS)
    dataset = arrays.load(path)
    assert np.array_equal(dataset.inputs, IMAGES.reshape(6, 6))
    assert (dataset.inputs.dtype, dataset.shape, dataset.images) == (np.uint8, (2, 3), True)
    assert (dataset.labels, dataset.targets.tolist()) == ((9, 10), [1, 0, 1, 0, 1, 0])
    assert (dataset.name, len(dataset.division.rows_of(TEST)), dataset.source["name"]) == (
        "my-digits",
        0,
        "my digits.npz",
    )


def test_string_labels_and_a_channel_axis_are_accepted(path: Path) -> None:
    np.savez_compressed(path, images=IMAGES[..., None], labels=np.array(["b", "a"] * 3))
    dataset = arrays.load(path)
    assert (dataset.labels, dataset.targets.tolist(), dataset.shape) == (("a", "b"), [1, 0] * 3, (2, 3))


def test_test_images_are_the_test_split(path: Path) -> None:
    np.savez(path, images=IMAGES, labels=LABELS, test_images=IMAGES[:2] + 100, test_labels=LABELS[:2])
    dataset = arrays.load(path)
    assert (len(dataset.division.rows_of(TEST)), len(dataset.inputs)) == (2, 8)
    assert np.array_equal(dataset.inputs[-2:], IMAGES[:2].reshape(2, 6) + 100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"x": IMAGES, "y": LABELS},
            "FILE has x, y, expected images and labels, and optionally test_images and test_labels",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES},
            "FILE has no test_labels, expected both test_images and test_labels",
        ),
        (
            {"images": IMAGES.reshape(6, 6), "labels": LABELS},
            "FILE: images has shape (6, 6), expected (rows, height, width) with one channel",
        ),
        (
            {"images": np.stack([IMAGES] * 3, axis=3), "labels": LABELS},
            "FILE: images has shape (6, 2, 3, 3), expected (rows, height, width) with one channel",
        ),
        (
            {"images": IMAGES[:0], "labels": LABELS[:0]},
            "FILE: images has shape (0, 2, 3), expected (rows, height, width) with one channel",
        ),
        (
            {"images": IMAGES / 255, "labels": LABELS},
            "FILE: images is float64, expected uint8 from 0 to 255; convert values from 0 to 1 with "
            "(images * 255).round().astype('uint8')",
        ),
        (
            {"images": IMAGES, "labels": LABELS[:5]},
            "FILE: labels is int64 with shape (5,), expected an integer or a string for each of the 6 rows of images",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            "FILE: labels is float64 with shape (6,), expected an integer or a string for each of the 6 rows of images",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:, :1], "test_labels": LABELS},
            "FILE has images and test_images of shapes (6, 2, 3) and (6, 1, 3), expected the same height and width",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:1], "test_labels": [11]},
            "FILE has class '11' only in its test split; move some of its images to training",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else ", ".join(value),
)
def test_invalid_content_is_rejected(path: Path, content: dict[str, Any], message: str) -> None:
    assert rejection(path, **content) == message


class Trap:
    """Fails the test when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("unpickled",)


def test_no_object_is_unpickled(path: Path) -> None:
    found = rejection(path, images=np.array([Trap()], object), labels=LABELS)
    assert found.startswith("FILE is not a file of numpy.savez (Object arrays cannot be loaded")
    path.write_bytes(pickle.dumps(Trap()))
    assert "unpickled" not in rejection(path)


@pytest.mark.parametrize("size", [0, 1, 100, 400])
def test_truncated_file_is_rejected(path: Path, size: int) -> None:
    np.savez(path, images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:size])
    assert rejection(path).startswith("FILE is not a file of numpy.savez (")


def test_single_array_and_missing_file_are_rejected(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", IMAGES)
    (tmp_path / "one.npy").rename(path)
    assert rejection(path) == (
        "FILE has no named arrays, expected images and labels, and optionally test_images and test_labels"
    )
    path.unlink()
    assert rejection(path) == "FILE cannot be read: No such file or directory"


def test_arrays_that_expand_beyond_the_limit_are_refused(path: Path) -> None:
    images = np.zeros((20, 64, 64), np.uint8)
    labels = np.arange(20) % 2
    np.savez_compressed(path, images=images, labels=labels)
    assert path.stat().st_size < 2000
    with pytest.raises(DataError, match=r"is larger than 80,000 bytes when decompressed; save it with numpy\.savez$"):
        arrays.load(path, 80_000)
    np.savez(path, images=images, labels=labels)  # these take the memory that the file has
    assert len(arrays.load(path, 80_000).inputs) == 20


def test_a_header_that_claims_more_than_there_is_memory_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("images.npy", "w") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 2**10, 2**10)}
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
        archive.writestr("labels.npy", b"")
    assert rejection(path).startswith("FILE has arrays that do not fit into memory (")
