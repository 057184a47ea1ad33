"""A published version, read as the service reads it, has what the run produced."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from service.manifest import CLASSIFICATION
from tests.training import small
from tests.training.trained import Trained, golden_of, run
from training.data.dataset import Column
from training.errors import DataError
from training.recipe import sizing
from training.release import destination, onnx_runtime


def test_the_manifest_describes_the_run(digits: Trained) -> None:
    manifest, parts = digits.published.manifest, digits.parts
    assert (manifest.name, manifest.version, manifest.task) == ("digits", 1, CLASSIFICATION)
    assert manifest.classes == tuple(range(10))
    assert (manifest.input_shape, manifest.input_dtype, manifest.opset) == ((8, 8), "float32", 20)
    assert manifest.data["rows"] == {
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
    }
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.data["sha256"])
    used = replace(sizing.resolved(digits.config, len(parts.train)), arithmetic="float32")  # its matrices are small
    config = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(used).items()}
    assert {key: manifest.config[key] for key in config} == config
    assert manifest.config["temperature"] == pytest.approx(1 / float(digits.network.output_scale[0]), rel=1e-6)
    assert manifest.config["command"].startswith(
        "python -m training digits --hidden 32 --epochs 20 --lr 0.02 --models "
    )
    assert manifest.seed == 0
    assert manifest.libraries == {
        name: version(name) for name in ("mlp-serving", "torch", "onnx", "numpy", "scikit-learn")
    } | {"onnxruntime": onnx_runtime.VERSION}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", manifest.created)


def test_feature_statistics_are_those_of_the_training_rows(digits: Trained) -> None:
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


def test_the_manifest_has_the_hash_of_every_file(digits: Trained) -> None:
    found = {path.name: artifact.sha256(path.read_bytes()) for path in digits.folder.iterdir()}
    del found[artifact.MANIFEST]
    assert digits.published.manifest.files == found
    assert {"model.onnx", "golden.npz", "example.json", "example.png", "README.md"} <= set(found)


def test_golden_rows_are_test_rows_without_near_ties(digits: Trained) -> None:
    golden = golden_of(digits.published)
    assert golden["inputs"].shape == (32, 64)
    held_out = {row.tobytes() for row in digits.test_inputs}
    assert all(row.tobytes() in held_out for row in golden["inputs"])
    ranked = np.sort(golden["probabilities"], axis=1)
    assert (ranked[:, -1] - ranked[:, -2]).min() > 0.1
    expected = onnx_runtime.run(digits.published.model, golden["inputs"])
    assert np.abs(golden["probabilities"] - expected[0]).max() < 1e-5
    assert np.array_equal(golden["prediction"], expected[1])
    assert ("int8_probabilities" in golden) == (digits.published.model_int8 is not None)


def test_the_example_is_the_first_test_row_classified_correctly(digits: Trained) -> None:
    first = int((digits.outputs[1] == digits.test_targets).argmax())
    image = digits.test_inputs[first].reshape(8, 8)
    assert json.loads(digits.published.example) == {"inputs": [image.tolist()]}


@pytest.mark.parametrize(
    ("labels", "columns", "target", "message"),
    [
        (("a\x00", "b"), ("x",), "y", "label 'a\\x00' has the character U+0000"),
        (("\udcff", "b"), ("x",), "y", "label '\\udcff' has the character U+DCFF"),  # a folder name that is not UTF-8
        (("a", "b"), ("x\ny",), "y", "column 'x\\ny' has the character U+000A"),
        (("a", "b"), ("x",), "\x1b[2J", "target '\\x1b[2J' has the character U+001B"),
    ],
)
def test_names_that_cannot_be_shown_are_rejected(
    labels: tuple[str, ...], columns: tuple[str, ...], target: str, message: str
) -> None:
    dataset = small.classes(np.zeros((2, 1), np.float32), [0, 1], labels, columns=tuple(map(Column, columns)))
    with pytest.raises(DataError) as raised:
        destination.check_names(replace(dataset, target_names=(target,)))
    assert str(raised.value) == (
        f"{message}, a control character or not valid UTF-8, which responses, metrics and logs cannot show; rename it"
    )


def test_labels_of_any_script_and_type_are_accepted() -> None:
    for labels in (("Ä b", "\u00a0", "鞋", "\U0001f469\u200d\U0001f692"), (0, 1), (False, True)):
        destination.check_names(small.classes(np.zeros((2, 1), np.float32), [0, 1], labels))


def test_file_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    """A file called ``daten\\xff.csv``, whose name has a lone surrogate in Python."""
    odd = "daten\udcff.csv"
    folder = tmp_path / "in"
    folder.mkdir()
    rows = "".join(f"{row % 7},{row % 3},{'ab'[row % 2]}\n" for row in range(60))
    (folder / odd).write_text("x,y,label\n" + rows)
    status, log = run(
        tmp_path, str(folder / odd), "--target", "label", "--epochs", "1", "--hidden", "4", "--name", "odd"
    )
    assert status == 0, log
    manifest = artifact.read(tmp_path / "odd" / "1").manifest
    assert manifest.data["name"] == "daten\\udcff.csv"
    assert "daten\\udcff.csv" in manifest.config["command"]
    assert "daten\\udcff.csv" in (tmp_path / "odd" / "1" / "README.md").read_text()
