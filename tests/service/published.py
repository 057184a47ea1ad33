"""Small published models with random weights, and the same network in numpy as their oracle."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service import artifact
from service.manifest import CLASSIFICATION, FORMAT, REGRESSION, Feature, Label, Manifest

OPSET = 20

# A column of each kind, with and without missing values, with and without "other".
TABLE = (
    Feature("age", "numeric", True, (), False, 40.0, 12.0, 0.0, 99.0),
    Feature("height", "numeric", False, (), False, 1.7, 0.1, 1.0, 2.1),
    Feature("member", "boolean", True, (), False, 0.5, 0.5, 0.0, 1.0),
    Feature("country", "categorical", True, ("France", "Germany", "Italy"), False, 0.0, 0.0, 0.0, 0.0),
    Feature("job", "categorical", False, ("cook", "nurse"), True, 0.0, 0.0, 0.0, 0.0),
)


@dataclass(frozen=True)
class Network:
    """One hidden layer on the values, 0 if missing, and flags of the missing ones. ``answer`` is the oracle."""

    first: NDArray[np.float32]  # (2 * features, hidden)
    last: NDArray[np.float32]  # (hidden, classes or targets)
    regression: bool = False

    @classmethod
    def random(cls, features: int, outputs: int, seed: int, *, regression: bool = False) -> Network:
        random = np.random.default_rng(seed)
        first = random.normal(0, 1 / np.sqrt(features), (2 * features, 16)).astype(np.float32)
        return cls(first, random.normal(0, 1, (16, outputs)).astype(np.float32), regression)

    def answer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities float32 (rows, classes), or numbers float32 (rows, targets), of ``inputs`` (rows, features)."""
        missing = np.isnan(inputs)
        known = np.concatenate([np.where(missing, 0, inputs), missing], axis=1).astype(np.float32)
        logits = np.maximum(known @ self.first, 0) @ self.last
        if self.regression:
            return logits.astype(np.float32)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def graph(self) -> bytes:
        """The network in ONNX, with softmax and argmax inside."""
        features, outputs = len(self.first) // 2, self.last.shape[1]
        weights = {"first": self.first, "last": self.last, "zero": np.zeros((), np.float32)}
        nodes = [
            helper.make_node("IsNaN", ["inputs"], ["is_missing"]),
            helper.make_node("Where", ["is_missing", "zero", "inputs"], ["filled"]),
            helper.make_node("Cast", ["is_missing"], ["missing"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["filled", "missing"], ["known"], axis=1),
            helper.make_node("MatMul", ["known", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "last"], ["prediction" if self.regression else "logits"]),
        ]
        given = [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["rows", outputs])]
        if not self.regression:
            nodes += [
                helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
                helper.make_node("ArgMax", ["logits"], ["prediction"], axis=-1, keepdims=0),
            ]
            given = [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", outputs]),
                helper.make_tensor_value_info("prediction", TensorProto.INT64, ["rows"]),
            ]
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", features])],
            given,
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model)
        return model.SerializeToString()


def publish(
    models_dir: Path,
    name: str = "small",
    version: int = 1,
    *,
    shape: tuple[int, ...] = (4,),
    labels: tuple[Label, ...] = ("ape", "bee", "cat"),
    targets: tuple[str, ...] = (),
    features: tuple[Feature, ...] = (),
    seed: int = 0,
) -> Network:
    """Write ``models_dir/name/version`` as training does, and return its network.

    With ``targets`` it is a regression. Without ``features`` there are numeric ones for the ``shape``.
    """
    shape = (len(features),) if features else shape
    features = features or tuple(
        Feature(f"f{index}", "numeric", False, (), False, 0.0, 1.0, -3.0, 3.0) for index in range(int(np.prod(shape)))
    )
    network = Network.random(len(features), len(targets or labels), seed, regression=bool(targets))
    golden = values_of(features, 8, seed + 1)
    files = {
        artifact.MODEL: network.graph(),
        artifact.GOLDEN: golden_file(network, golden),
        artifact.EXAMPLE: json.dumps({"inputs": [as_json(features, row) for row in golden[:1]]}).encode(),
    }
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        task=REGRESSION if targets else CLASSIFICATION,
        classes=() if targets else labels,
        targets=targets or ("animal",),
        features=features,
        input_shape=shape,
        input_dtype="float32",
        opset=OPSET,
        files={file: artifact.sha256(content) for file, content in files.items()},
        scores={"fp32": {"accuracy": 0.5}},
        parity={"max_probability_error": 0.0},
        data={"name": "random"},
        config={},
        seed=seed,
        libraries={},
        git_commit=None,
        created="2026-01-01T00:00:00Z",
    )
    folder = models_dir / name / str(version)
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    (folder / artifact.MANIFEST).write_text(manifest.to_json())
    return network


def golden_file(network: Network, inputs: NDArray[np.float32]) -> bytes:
    """The file of golden rows for ``inputs`` (rows, features)."""
    answer = network.answer(inputs)
    answers = {"prediction": answer}
    if not network.regression:
        answers = {"probabilities": answer, "prediction": answer.argmax(axis=1)}
    file = io.BytesIO()
    np.savez(file, inputs=inputs, **answers)
    return file.getvalue()


def values_of(features: tuple[Feature, ...], rows: int, seed: int) -> NDArray[np.float32]:
    """Random values float32 (rows, features). A quarter of those that may be missing are NaN."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (rows, len(features))).astype(np.float32)
    for index, feature in enumerate(features):
        if feature.kind == "boolean":
            values[:, index] = random.integers(0, 2, rows)
        if feature.kind == "categorical":
            values[:, index] = random.integers(0, len(feature.categories) + feature.other, rows)
        if feature.missing:
            values[random.random(rows) < 0.25, index] = np.nan
    return values


def as_json(features: tuple[Feature, ...], row: NDArray[np.float32]) -> Any:
    """A row as a client sends it: a list if all features are numeric, else values by name."""
    if all(feature.kind == "numeric" for feature in features):
        return row.tolist()
    return {feature.name: _json_value(feature, value) for feature, value in zip(features, row.tolist(), strict=True)}


def _json_value(feature: Feature, value: float) -> Any:
    if np.isnan(value):
        return None
    if feature.kind == "boolean":
        return bool(value)
    if feature.kind == "categorical":
        return dict(enumerate(feature.categories)).get(int(value), "something else")
    return value


def rewrite(version_dir: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Apply ``change`` to the manifest's JSON document."""
    path = version_dir / artifact.MANIFEST
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
