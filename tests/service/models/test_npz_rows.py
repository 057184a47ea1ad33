"""Arrays are read in batches and checked as the service checks them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from service.inference.schema import Schema
from service.manifest import Manifest
from service.models import labelled_rows, npz_rows
from service.models.command import CommandError
from service.models.labelled_rows import Skipped, View
from tests.service.published import TABLE, publish, values_of

LABELS = ("ape", "bee", "cat")


def manifest(tmp_path: Path, **options: Any) -> Manifest:
    publish(tmp_path / "models", **options)
    return artifact.read_manifest(tmp_path / "models" / "small" / "1")


def read(path: Path, model: Manifest) -> tuple[NDArray[Any], NDArray[Any], Skipped]:
    skipped = Skipped()
    view = View.of("small@1", model, Schema.of(model, 10))
    batches = list(npz_rows.batches(path, [view], model, skipped))
    return (
        np.concatenate([each.inputs[0] for each in batches]),
        np.concatenate([each.targets for each in batches]),
        skipped,
    )


def fault(path: Path, model: Manifest) -> str:
    with pytest.raises(CommandError) as caught:
        read(path, model)
    return str(caught.value)


@pytest.fixture(params=[4, 4096])
def batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Batches of a few rows, or one of all."""
    monkeypatch.setattr(labelled_rows, "_BATCH_ROWS", request.param)
    size: int = request.param
    return size


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "float16"])
def test_rows_and_labels(tmp_path: Path, dtype: str, compressed: bool) -> None:
    inputs = np.random.default_rng(0).normal(0, 9, (11, 4)).astype(dtype)
    labels = np.random.default_rng(1).choice(LABELS, 11)
    (np.savez_compressed if compressed else np.savez)(tmp_path / "x.npz", inputs=inputs, targets=labels)
    found, targets, skipped = read(tmp_path / "x.npz", manifest(tmp_path))
    assert np.array_equal(found, inputs)
    assert [LABELS[index] for index in targets] == labels.tolist()
    assert skipped.counts == {}


@pytest.mark.usefixtures("batch")
def test_rows_of_a_table_are_encoded(tmp_path: Path) -> None:
    inputs = values_of(TABLE, 9, 0)
    inputs[5, 3] = 7  # no code of a country
    inputs[6, 1] = np.nan
    np.savez(tmp_path / "x.npz", inputs=inputs, targets=np.array(["ape"] * 8 + ["dog"]))
    found, targets, skipped = read(tmp_path / "x.npz", manifest(tmp_path, features=TABLE))
    assert np.array_equal(found, inputs[[0, 1, 2, 3, 4, 7]], equal_nan=True)
    assert targets.tolist() == [0] * 6
    assert skipped.counts == {"with a target that the models do not know": 1, "rejected by small@1": 2}
    assert skipped.first["rejected by small@1"].startswith("row 5, feature 'country' is 7, expected the code")


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        ((3, 5), np.array([3, 5, 5], np.int8)),
        ((3, 5), np.array([3.0, 5, 5])),
        ((False, True), np.array([False, True, True])),
        (("a", "b"), np.array(["a", "b", "b"])),
    ],
)
def test_labels_of_each_type(tmp_path: Path, labels: Any, given: NDArray[Any]) -> None:
    np.savez(tmp_path / "x.npz", inputs=np.ones((3, 4)), targets=given)
    assert read(tmp_path / "x.npz", manifest(tmp_path, labels=labels))[1].tolist() == [0, 1, 1]


def test_numbers_of_several_targets(tmp_path: Path) -> None:
    targets = np.array([[1, 2], [np.nan, 3], [4, 5]])
    np.savez(tmp_path / "x.npz", inputs=np.ones((3, 4)), targets=targets)
    _, found, skipped = read(tmp_path / "x.npz", manifest(tmp_path, targets=("price", "rent")))
    assert found.tolist() == [[1, 2], [4, 5]]
    assert (skipped.counts, skipped.first) == ({"without a finite target": 1}, {"without a finite target": "row 1"})


@pytest.mark.parametrize("shape", [(5, 2, 2), (5, 4), (5, 2, 2, 1)])
def test_images_as_training_reads_them(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.arange(20, dtype=np.uint8).reshape(shape) * 10
    model = replace(manifest(tmp_path, shape=(2, 2)), input_dtype="uint8")
    np.savez(
        tmp_path / "x.npz",
        images=images[:2],
        labels=np.array(["ape"] * 2),
        test_images=images,
        test_labels=np.array(["bee"] * 5),
    )
    found, targets, _ = read(tmp_path / "x.npz", model)
    assert np.array_equal(found, images.reshape(5, 4))
    assert targets.tolist() == [1] * 5


def test_scaled_pixels_are_rejected(tmp_path: Path) -> None:
    model = replace(manifest(tmp_path, shape=(2, 2)), input_dtype="uint8")
    bright = replace(model, features=tuple(replace(each, max=255.0) for each in model.features))
    np.savez(tmp_path / "x.npz", inputs=np.full((3, 4), 0.5), targets=np.array(["ape"] * 3))
    skipped = Skipped()
    view = View.of("small@1", bright, Schema.of(bright, 10))
    assert list(npz_rows.batches(tmp_path / "x.npz", [view], bright, skipped)) == []
    assert skipped.counts == {"rejected by small@1": 3}
    assert "all pixels are fractions from 0 to 1" in skipped.first["rejected by small@1"]


def npz(**arrays: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def saved(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


GOOD = np.ones((3, 4))
APES = np.array(["ape"] * 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", " is not a file of numpy.savez (File is not a zip file); save it again"),
        (saved(x=GOOD), " has x, expected inputs and targets"),
        (saved(inputs=GOOD, y=APES), " has inputs, y, expected inputs and targets"),
        (saved(inputs=GOOD, targets=APES[:2]), ": targets is <U3 of shape (2,), expected labels of shape (3,)"),
        (saved(inputs=GOOD[:, :3], targets=APES), ": inputs has shape (3, 3), expected (rows, 4)"),
        (saved(inputs=np.float64(1), targets=APES), ": inputs has shape (), expected one or more rows"),
        (saved(inputs=GOOD[:0], targets=APES[:0]), ": inputs has shape (0, 4), expected one or more rows"),
        (saved(inputs=GOOD.astype(str), targets=APES), ": inputs is <U32, expected numbers of up to 64 bits"),
        (saved(inputs=GOOD.astype(object), targets=APES), ": inputs holds Python objects; save numbers"),
        (
            saved(inputs=np.asfortranarray(GOOD), targets=APES),
            ": inputs is stored by columns; save np.ascontiguousarray",
        ),
        (saved(inputs=GOOD, targets=np.array([1j] * 3)), ": targets is complex128 of shape (3,), expected labels"),
        (npz(inputs=npy(GOOD)[:-8], targets=npy(APES)), ": inputs is shorter than its header says; save it again"),
        (npz(inputs=b"\x93NUMPY\x01\x00\x05\x00(", targets=npy(APES)), " is not a file of numpy.savez ("),
        (npz(inputs=b"\x93NUMPY\x09\x00", targets=npy(APES)), " is not a file of numpy.savez ("),
        (saved(inputs=GOOD, targets=APES)[:-30], " is not a file of numpy.savez (File is not a zip file)"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert fault(path, manifest(tmp_path)).startswith(f"{path}{reason}")


def test_a_file_damaged_anywhere_is_no_traceback(tmp_path: Path) -> None:
    model = manifest(tmp_path)
    good = saved(inputs=GOOD, targets=APES)
    path = tmp_path / "x.npz"
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(good)
        for position in random.integers(0, len(good), 3):
            damaged[position] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            list(npz_rows.batches(path, [View.of("small@1", model, Schema.of(model, 10))], model, Skipped()))
        except CommandError as error:
            assert str(path) in str(error)  # noqa: PT017 - it may as well succeed


def test_float32_that_cannot_hold_the_values(tmp_path: Path) -> None:
    model = replace(manifest(tmp_path), input_dtype="float64")
    np.savez(tmp_path / "x.npz", inputs=GOOD.astype(np.float32), targets=APES)
    assert "inputs is float32, which cannot hold the models' values; save float64" in fault(tmp_path / "x.npz", model)


def test_no_file(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in fault(tmp_path / "none.npz", manifest(tmp_path))
