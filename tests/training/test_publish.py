"""A published version is what the run came to: read back as the service reads it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from service.manifest import CLASSIFICATION
from tests.training.trained import Trained
from training import runtime


def golden_of(digits: Trained) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(digits.published.golden), allow_pickle=False) as file:
        return dict(file)


def test_the_manifest_is_read_back_with_all_that_is_known(digits: Trained) -> None:
    manifest, parts = digits.published.manifest, digits.parts
    assert (manifest.name, manifest.version, manifest.task) == ("digits", 1, CLASSIFICATION)
    assert manifest.classes == tuple("0123456789")
    assert (manifest.input_shape, manifest.input_dtype, manifest.opset) == ((8, 8), "float32", 20)
    assert manifest.data["rows"] == {
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
    }
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.data["sha256"])
    chosen = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(digits.config).items()}
    assert {key: manifest.config[key] for key in chosen} == chosen
    assert manifest.config["temperature"] == pytest.approx(1 / float(digits.network.output_scale[0]), rel=1e-6)
    assert manifest.config["command"].startswith(
        "python -m training digits --hidden 32 --epochs 20 --lr 0.02 --models "
    )
    assert manifest.seed == 0
    assert manifest.libraries == {
        name: version(name) for name in ("mlp-serving", "torch", "onnx", "numpy", "scikit-learn")
    } | {"onnxruntime": runtime.VERSION}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", manifest.created)


def test_statistics_of_features_are_the_training_rows(digits: Trained) -> None:
    train = digits.dataset.inputs[digits.parts.train].astype(np.float64)
    features = digits.published.manifest.features
    assert [feature.name for feature in features] == [column.name for column in digits.dataset.columns]
    for name, expected in [
        ("mean", train.mean(axis=0)),
        ("std", train.std(axis=0)),
        ("min", train.min(axis=0)),
        ("max", train.max(axis=0)),
    ]:
        assert [getattr(feature, name) for feature in features] == pytest.approx(expected.tolist())


def test_every_file_of_the_folder_is_in_the_manifest_with_its_hash(digits: Trained) -> None:
    found = {path.name: artifact.sha256(path.read_bytes()) for path in digits.folder.iterdir()}
    del found[artifact.MANIFEST]
    assert digits.published.manifest.files == found
    assert {"model.onnx", "golden.npz", "example.json", "example.png", "README.md"} <= set(found)


def test_golden_rows_are_test_rows_answered_beyond_doubt(digits: Trained) -> None:
    golden = golden_of(digits)
    assert golden["inputs"].shape == (32, 64)
    held_out = {row.tobytes() for row in digits.test_inputs}
    assert all(row.tobytes() in held_out for row in golden["inputs"])
    best = np.sort(golden["probabilities"], axis=1)
    assert (best[:, -1] - best[:, -2]).min() > 0.1
    expected = runtime.run(digits.published.model, golden["inputs"])
    assert np.abs(golden["probabilities"] - expected[0]).max() < 1e-5
    assert np.array_equal(golden["prediction"], expected[1])
    assert ("int8_probabilities" in golden) == (digits.published.model_int8 is not None)


def test_the_example_is_the_first_test_row_that_is_answered_rightly(digits: Trained) -> None:
    first = int((digits.answers[1] == digits.test_targets).argmax())
    image = digits.test_inputs[first].reshape(8, 8)
    assert json.loads(digits.published.example) == {"inputs": [image.tolist()]}
