"""Graphs as other frameworks' converters write them, with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
NAMES = ("setosa", "versicolor", "virginica")


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: dict[str, NDArray[Any]],
    *,
    opset: int | None = 20,
    producer: str = "skl2onnx",
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "g",
        list(inputs),
        list(outputs),
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 1), *([helper.make_opsetid("", opset)] if opset else [])]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name=producer, producer_version="1.20")
    content: bytes = made.SerializeToString()
    return content


def tensor(name: str, kind: int, *shape: int | str | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def layers(
    features: int, outputs: int, seed: int = 0, dtype: type = np.float32
) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    """Nodes from ``cast_input`` to ``add_result1``, as skl2onnx names those of an MLPClassifier."""
    random = np.random.default_rng(seed)
    weights = {
        "coefficient": random.normal(0, 1, (features, 8)).astype(dtype),
        "intercepts": random.normal(0, 1, (1, 8)).astype(dtype),
        "coefficient1": random.normal(0, 1, (8, outputs)).astype(dtype),
        "intercepts1": random.normal(0, 1, (1, outputs)).astype(dtype),
    }
    nodes = [
        helper.make_node("MatMul", ["cast_input", "coefficient"], ["mul_result"]),
        helper.make_node("Add", ["mul_result", "intercepts"], ["add_result"]),
        helper.make_node("Relu", ["add_result"], ["next_activations"]),
        helper.make_node("MatMul", ["next_activations", "coefficient1"], ["mul_result1"]),
        helper.make_node("Add", ["mul_result1", "intercepts1"], ["add_result1"]),
    ]
    return nodes, weights


def scikit_learn(*, zipmap: bool, labels: Sequence[Any] = NAMES, double: bool = False, several: bool = False) -> bytes:
    """skl2onnx 1.20's graph of make_pipeline(StandardScaler(), MLPClassifier()), with one input or one per column."""
    dtype = np.float64 if double else np.float32
    kind = DOUBLE if double else FLOAT
    body, weights = layers(4, len(labels), dtype=dtype)
    weights["classes"] = np.array(labels, object if isinstance(labels[0], str) else np.int32)
    nodes = []
    source = "X"
    if several:
        nodes.append(helper.make_node("Concat", ["sl", "sw", "pl", "pw"], ["merged"], axis=1))
        source = "merged"
    if double:
        weights["mean"] = np.array([1.0, 2, 3, 4])
        nodes.append(helper.make_node("Sub", [source, "mean"], ["variable"]))
    else:
        scaler = {"offset": [1.0, 2, 3, 4], "scale": [1.0, 0.5, 2, 1]}
        nodes.append(helper.make_node("Scaler", [source], ["variable"], domain="ai.onnx.ml", **scaler))
    nodes += [
        helper.make_node("Cast", ["variable"], ["cast_input"], to=kind),
        *body,
        helper.make_node("Softmax", ["add_result1"], ["out_activations_result"], axis=1),
        helper.make_node("ArgMax", ["out_activations_result"], ["argmax_output"], axis=1),
        helper.make_node("ArrayFeatureExtractor", ["classes", "argmax_output"], ["extracted"], domain="ai.onnx.ml"),
    ]
    weights["shape_tensor"] = np.array([-1], np.int64)
    label_kind = STRING if isinstance(labels[0], str) else INT64
    nodes.append(helper.make_node("Reshape", ["extracted", "shape_tensor"], ["flat_label"]))
    label = "output_label" if zipmap else "label"
    nodes.append(
        helper.make_node("Identity", ["flat_label"], [label])
        if label_kind == STRING
        else helper.make_node("Cast", ["flat_label"], [label], to=INT64)
    )
    if zipmap:
        named = {"classlabels_strings": list(labels)} if label_kind == STRING else {"classlabels_int64s": list(labels)}
        nodes.append(
            helper.make_node("ZipMap", ["out_activations_result"], ["output_probability"], domain="ai.onnx.ml", **named)
        )
        key = helper.make_map_type_proto(label_kind, helper.make_tensor_type_proto(FLOAT, None))
        answer = helper.make_value_info("output_probability", helper.make_sequence_type_proto(key))
    else:
        nodes.append(helper.make_node("Identity", ["out_activations_result"], ["probabilities"]))
        answer = tensor("probabilities", kind, None, len(labels))
    inputs = (
        [tensor(each, kind, None, 1) for each in ("sl", "sw", "pl", "pw")] if several else [tensor("X", kind, None, 4)]
    )
    return model(nodes, inputs, [tensor(label, label_kind, None), answer], weights)


def regressor(targets: int = 1) -> bytes:
    """skl2onnx's graph of MLPRegressor."""
    nodes, weights = layers(4, targets)
    weights["shape_tensor"] = np.array([-1, targets], np.int64)
    nodes.append(helper.make_node("Reshape", ["add_result1", "shape_tensor"], ["variable"]))
    return model(nodes, [tensor("cast_input", FLOAT, None, 4)], [tensor("variable", FLOAT, None, targets)], weights)


def trees() -> bytes:
    """A tree of two leaves on the first of three features, as onnxmltools writes XGBoost's: in no standard opset."""
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["input"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        class_ids=[0, 0],
        class_nodeids=[1, 2],
        class_treeids=[0, 0],
        class_weights=[0.1, 0.8],
        classlabels_int64s=[10, 20],
        nodes_falsenodeids=[2, 0, 0],
        nodes_featureids=[0, 0, 0],
        nodes_hitrates=[1.0, 1.0, 1.0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_nodeids=[0, 1, 2],
        nodes_treeids=[0, 0, 0],
        nodes_truenodeids=[1, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        post_transform="NONE",
    )
    outputs = [tensor("label", INT64, None), tensor("probabilities", FLOAT, None, 2)]
    return model([node], [tensor("input", FLOAT, None, 3)], outputs, {}, opset=None, producer="OnnxMLTools")


def keras(*, sigmoid: bool = False) -> bytes:
    """tf2onnx's graph of a dense network on grey images (rows, 4, 4, 1)."""
    columns = 1 if sigmoid else 3
    body, weights = layers(16, columns)
    weights["const_fold"] = np.array([-1, 16], np.int64)
    last = (
        helper.make_node("Sigmoid", ["add_result1"], ["dense_1"])
        if sigmoid
        else helper.make_node("Softmax", ["add_result1"], ["dense_1"], axis=-1)
    )
    nodes = [helper.make_node("Reshape", ["input_1", "const_fold"], ["cast_input"]), *body, last]
    return model(
        nodes,
        [tensor("input_1", FLOAT, "unk__6", 4, 4, 1)],
        [tensor("dense_1", FLOAT, "unk__7", columns)],
        weights,
        opset=15,
        producer="tf2onnx",
    )


def torch_logits(*, columns: int = 3, batch: int | str = "b", kind: int = FLOAT) -> bytes:
    """torch's graph of Flatten and Linear layers, exported for one row by default shapes of its tutorial."""
    body, weights = layers(16, columns)
    weights["val_0"] = np.array([batch if isinstance(batch, int) else -1, 16], np.int64)
    nodes = [
        helper.make_node("Cast", ["x"], ["float_x"], to=FLOAT),
        helper.make_node("Reshape", ["float_x", "val_0"], ["cast_input"], allowzero=1),
        *body,
    ]
    return model(
        nodes,
        [tensor("x", kind, batch, 1, 4, 4)],
        [tensor("add_result1", FLOAT, batch, columns)],
        weights,
        producer="pytorch",
    )
