"""Small published models with random weights, and the same network in numpy as their oracle."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service import artifact
from service.artifact import Feature, Manifest

OPSET = 20


@dataclass(frozen=True)
class Network:
    """One hidden layer; ``answer`` is the oracle."""

    first: NDArray[np.float32]  # (features, hidden)
    last: NDArray[np.float32]  # (hidden, classes)

    @classmethod
    def random(cls, features: int, classes: int, seed: int) -> Network:
        random = np.random.default_rng(seed)
        first = random.normal(0, 1 / np.sqrt(features), (features, 16)).astype(np.float32)
        return cls(first, random.normal(0, 1, (16, classes)).astype(np.float32))

    def answer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities float32 (rows, classes) of ``inputs`` (rows, features)."""
        logits = np.maximum(inputs @ self.first, 0) @ self.last
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def graph(self) -> bytes:
        """The network in ONNX, with softmax and argmax inside."""
        features, classes = len(self.first), self.last.shape[1]
        nodes = [
            helper.make_node("MatMul", ["inputs", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "last"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
            helper.make_node("ArgMax", ["logits"], ["prediction"], axis=-1, keepdims=0),
        ]
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", features])],
            [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", classes]),
                helper.make_tensor_value_info("prediction", TensorProto.INT64, ["rows"]),
            ],
            [numpy_helper.from_array(self.first, "first"), numpy_helper.from_array(self.last, "last")],
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
    labels: tuple[str, ...] = ("ape", "bee", "cat"),
    seed: int = 0,
) -> Network:
    """Write ``models_dir/name/version`` as training does; the network that was written."""
    features = int(np.prod(shape))
    network = Network.random(features, len(labels), seed)
    golden = np.random.default_rng(seed + 1).normal(0, 1, (8, features)).astype(np.float32)
    probabilities = network.answer(golden)
    arrays = io.BytesIO()
    np.savez(arrays, inputs=golden, probabilities=probabilities, prediction=probabilities.argmax(axis=1))
    files = {
        artifact.MODEL: network.graph(),
        artifact.GOLDEN: arrays.getvalue(),
        artifact.EXAMPLE: json.dumps({"inputs": golden[:1].tolist()}).encode(),
    }
    manifest = Manifest(
        format=artifact.FORMAT,
        name=name,
        version=version,
        task="classification",
        classes=labels,
        targets=("animal",),
        features=tuple(
            Feature(f"f{index}", "numeric", False, (), False, 0.0, 1.0, -3.0, 3.0) for index in range(features)
        ),
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
