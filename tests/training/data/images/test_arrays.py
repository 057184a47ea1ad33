"""An .npz file of images, and files that are something else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data.images import arrays
from training.errors import DataError

IMAGES = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3)
LABELS = np.array([10, 9, 10, 9, 10, 9])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "my digits.npz"


def refusal(path: Path, **content: Any) -> str:
    """The message, the path in it as FILE."""
    if content:
        np.savez(path, **content)
    with pytest.raises(DataError) as refused:
        arrays.load(path)
    return str(refused.value).replace(str(path), "FILE")


def test_images_and_labels_are_taken_as_they_are(path: Path) -> None:
    np.savez(path, images=IMAGES, labels=LABELS)
    dataset = arrays.load(path)
    assert np.array_equal(dataset.inputs, IMAGES.reshape(6, 6))
    assert (dataset.inputs.dtype, dataset.shape, dataset.images) == (np.uint8, (2, 3), True)
    assert (dataset.labels, dataset.targets.tolist()) == ((9, 10), [1, 0, 1, 0, 1, 0])
    assert (dataset.name, dataset.test_rows, dataset.source["name"]) == ("my-digits", 0, "my digits.npz")


def test_labels_may_be_texts_and_images_have_an_axis_for_their_one_channel(path: Path) -> None:
    np.savez_compressed(path, images=IMAGES[..., None], labels=np.array(["b", "a"] * 3))
    dataset = arrays.load(path)
    assert (dataset.labels, dataset.targets.tolist(), dataset.shape) == (("a", "b"), [1, 0] * 3, (2, 3))


def test_a_test_split_of_its_own_is_kept_as_that(path: Path) -> None:
    np.savez(path, images=IMAGES, labels=LABELS, test_images=IMAGES[:2] + 100, test_labels=LABELS[:2])
    dataset = arrays.load(path)
    assert (dataset.test_rows, len(dataset.inputs)) == (2, 8)
    assert np.array_equal(dataset.inputs[-2:], IMAGES[:2].reshape(2, 6) + 100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"x": IMAGES, "y": LABELS},
            "FILE has x, y, expected images and labels, and for a test split of its own test_images and test_labels",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES},
            "FILE has no test_labels, expected test_images and test_labels together",
        ),
        (
            {"images": IMAGES.reshape(6, 6), "labels": LABELS},
            "FILE: images is of shape (6, 6), expected (rows, height, width), of one channel",
        ),
        (
            {"images": np.stack([IMAGES] * 3, axis=3), "labels": LABELS},
            "FILE: images is of shape (6, 2, 3, 3), expected (rows, height, width), of one channel",
        ),
        (
            {"images": IMAGES[:0], "labels": LABELS[:0]},
            "FILE: images is of shape (0, 2, 3), expected (rows, height, width), of one channel",
        ),
        (
            {"images": IMAGES / 255, "labels": LABELS},
            "FILE: images is float64, expected uint8 from 0 to 255; numbers from 0 to 1 become that by "
            "(images * 255).round().astype('uint8')",
        ),
        (
            {"images": IMAGES, "labels": LABELS[:5]},
            "FILE: labels is int64 of shape (5,), expected a whole number or a text for each of the 6 rows of images",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            "FILE: labels is float64 of shape (6,), expected a whole number or a text for each of the 6 rows of images",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:, :1], "test_labels": LABELS},
            "FILE has images and test_images of shapes (6, 2, 3) and (6, 1, 3), expected the same but for the rows",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:1], "test_labels": [11]},
            "FILE has class '11' in its test split alone; put some of its images with the others",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else ", ".join(value),
)
def test_what_cannot_be_learned_from_is_told(path: Path, content: dict[str, Any], message: str) -> None:
    assert refusal(path, **content) == message


class Trap:
    """Whoever unpickles it, is told."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("unpickled",)


def test_no_object_is_unpickled(path: Path) -> None:
    found = refusal(path, images=np.array([Trap()], object), labels=LABELS)
    assert found.startswith("FILE is not as numpy.savez writes it (Object arrays cannot be loaded")
    path.write_bytes(pickle.dumps(Trap()))
    assert "unpickled" not in refusal(path)


@pytest.mark.parametrize("size", [0, 1, 100, 400])
def test_a_file_cut_short_is_refused(path: Path, size: int) -> None:
    np.savez(path, images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(path).startswith("FILE is not as numpy.savez writes it (")


def test_a_single_array_and_no_file_are_refused(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", IMAGES)
    (tmp_path / "one.npy").rename(path)
    assert refusal(path) == (
        "FILE has no named arrays, expected images and labels, and for a test split of its own test_images and "
        "test_labels"
    )
    path.unlink()
    assert refusal(path) == "FILE cannot be read: No such file or directory"
