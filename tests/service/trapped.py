"""A published model that is slow or fails for certain values, for tests with real servers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service import artifact
from tests.service.published import Network, publish

# A batch fails if the third feature of a row has this value. The largest fourth feature is the number of iterations.
FAILS = 1e9
GOOD = [0.5, -1.0, 0.25, 0.0]
BAD = [0.5, -1.0, FAILS, 0.0]


def slow(iterations: float) -> list[float]:
    """A row that keeps its batch busy for that many iterations."""
    return [0.5, -1.0, 0.25, iterations]


def publish_trapped(models_dir: Path, name: str = "small") -> Network:
    """Write ``models_dir/name/1`` with four features and both traps in its graph."""
    network = publish(models_dir, name)
    replace(models_dir / name / "1", artifact.MODEL, _with_traps(network.graph()))
    return network


def replace(version_dir: Path, file: str, content: bytes) -> None:
    """Replace a published file, with a valid hash."""
    (version_dir / file).write_bytes(content)
    manifest = json.loads((version_dir / artifact.MANIFEST).read_bytes())
    manifest["files"][file] = artifact.sha256(content)
    (version_dir / artifact.MANIFEST).write_text(json.dumps(manifest))


def _with_traps(graph: bytes) -> bytes:
    model = onnx.load_from_string(graph)
    constants = {
        "trap_column_2": np.array([2]),
        "trap_column_3": np.array([3]),
        "trap_limit": np.float32(FAILS / 2),
        "trap_none": np.float32(0),
        "trap_only": np.zeros(1, np.float32),
        "trap_true": np.bool_(True),
    }
    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("Identity", ["carried"], ["carries"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn_number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carries", TensorProto.FLOAT, []),
        ],
    )
    traps = [
        helper.make_node("Gather", ["inputs", "trap_column_2"], ["trap_third"], axis=1),
        helper.make_node("ReduceMax", ["trap_third"], ["trap_largest"], keepdims=0),
        helper.make_node("Greater", ["trap_largest", "trap_limit"], ["trap_fails"]),
        helper.make_node("Cast", ["trap_fails"], ["trap_index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["trap_only", "trap_index"], ["trap_zero"]),  # there is no index 1
        helper.make_node("Gather", ["inputs", "trap_column_3"], ["trap_fourth"], axis=1),
        helper.make_node("ReduceMax", ["trap_fourth"], ["trap_most"], keepdims=0),
        helper.make_node("Max", ["trap_most", "trap_none"], ["trap_turns_f"]),
        helper.make_node("Cast", ["trap_turns_f"], ["trap_turns"], to=TensorProto.INT64),
        helper.make_node("Loop", ["trap_turns", "trap_true", "trap_zero"], ["trap_late_zero"], body=turn),
        helper.make_node("Add", ["plain_logits", "trap_late_zero"], ["logits"]),
    ]
    nodes = list(model.graph.node)
    last = next(node for node in nodes if node.output[0] == "logits")
    last.output[0] = "plain_logits"
    at = nodes.index(last) + 1
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *traps, *nodes[at:]])
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items())
    onnx.checker.check_model(model)
    return model.SerializeToString()
