"""Turns a foreign graph into the service's: one input ``inputs``, and ``probabilities`` and ``prediction``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, inliner, numpy_helper

from training.errors import GraphError
from training.release.importing.faults import MAX_NODES, dims_of, expanded_nodes, faults_of, inputs_of, opset_of

Label = str | int
Role = Literal["probabilities", "logits", "values"]

_PREFIX: Final = "imported/"
_CLASS_ATTRIBUTES: Final = ("classlabels_int64s", "classlabels_strings", "classlabels_ints")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A graph as its framework wrote it.

    ``answer`` is the name of the tensor (rows, columns) with probabilities, logits or values. ``label`` is the output
    with the predicted labels, if there is one, and ``labels`` are all of them, as far as the graph says.
    """

    model: onnx.ModelProto
    answer: str
    answer_type: int
    label: str | None
    labels: tuple[Label, ...]

    @property
    def widths(self) -> list[int | None]:
        """The number of features in each input; None if it is not fixed."""
        shapes = [dims_of(each)[1:] for each in inputs_of(self.model)]
        return [None if None in shape else math.prod(filter(None, shape)) for shape in shapes]

    @property
    def input_type(self) -> int:
        """The element type of the first input."""
        return int(inputs_of(self.model)[0].type.tensor_type.elem_type)


def read(content: bytes) -> Foreign:
    """Read an ONNX file. Raises `GraphError` with every fault."""
    try:
        model = _inlined(onnx.load_model_from_string(content))
    except GraphError:
        raise
    except Exception as error:  # protobuf raises its own types
        raise GraphError(
            [f"it is no ONNX file ({error}); export the network with skl2onnx, tf2onnx or torch"]
        ) from error
    faults = faults_of(model)
    outputs = _outputs(model)
    answers = [each for each in outputs if each[1] in {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}]
    labels = [name for name, kind in outputs if kind in {TensorProto.INT64, TensorProto.STRING, TensorProto.INT32}]
    if len(answers) != 1 or len(labels) > 1:
        shown = ", ".join(repr(name) for name, _ in outputs) or "none"
        faults.append(
            f"its outputs are {shown}, expected one with probabilities or values and at most one with labels; export "
            "it with only these (skl2onnx: options={'zipmap': False})"
        )
    if faults:
        raise GraphError(faults)
    (name, kind), label = answers[0], labels[0] if labels else None
    return Foreign(model, name, kind, label, _labels(model) if label else ())


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with the nodes of its functions in the places of their calls. Raises `GraphError` for too many."""
    if not model.functions:
        return model
    if (nodes := expanded_nodes(model)) > MAX_NODES:
        raise GraphError(
            [f"its functions expand to {nodes:,} nodes, expected {MAX_NODES:,} at most; export it without functions"]
        )
    return inliner.inline_local_functions(model)


def convert(foreign: Foreign, widths: Sequence[int], role: Role, columns: int) -> bytes:
    """The graph in the service's terms.

    ``inputs`` (rows, sum of ``widths``) is float32, or float64 if the first input is. ``columns`` is the width of the
    answer. A single column of probabilities or logits becomes two. Probabilities are float32; values keep float64.
    """
    model = compose.add_prefix(foreign.model, _PREFIX)
    builder = _Builder()
    double = foreign.input_type == TensorProto.DOUBLE
    _feed(builder, inputs_of(model), widths)
    _free_batch(model)
    body = _needed(model.graph, _PREFIX + foreign.answer)
    ahead, builder.nodes = builder.nodes, []
    outputs = _finish(builder, _PREFIX + foreign.answer, foreign.answer_type, role, columns)
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    known = {each for node in body for each in node.input}
    graph = helper.make_graph(
        [*ahead, *body, *builder.nodes],
        "imported",
        [helper.make_tensor_value_info("inputs", kind, ["rows", sum(widths)])],
        outputs,
        [*(each for each in model.graph.initializer if each.name in known), *builder.weights],
        sparse_initializer=[each for each in model.graph.sparse_initializer if each.values.name in known],
    )
    domains = {each.domain: each.version for each in model.opset_import} | {"": opset_of(model)}
    domains.pop("ai.onnx", None)
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    result = helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)
    content: bytes = result.SerializeToString()
    return content


def _outputs(model: onnx.ModelProto) -> list[tuple[str, int]]:
    """The outputs and their element types. A ZipMap, which makes dictionaries, is replaced by what goes into it."""
    zipped = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "ZipMap"}
    return [
        (zipped[each.name], TensorProto.FLOAT) if each.name in zipped else (each.name, each.type.tensor_type.elem_type)
        for each in model.graph.output
    ]


def _labels(model: onnx.ModelProto) -> tuple[Label, ...]:
    """The labels that scikit-learn's converters write into a graph; none unless they are found once."""
    weights = {each.name: each for each in model.graph.initializer}
    found: dict[tuple[Label, ...], None] = {}
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in _CLASS_ATTRIBUTES and (attribute.ints or attribute.strings):
                texts = (each.decode(errors="replace") for each in attribute.strings)
                found[tuple(attribute.ints) or tuple(texts)] = None
        if node.op_type == "ArrayFeatureExtractor" and node.input[0] in weights:
            values = numpy_helper.to_array(weights[node.input[0]]).ravel().tolist()
            found[tuple(each.decode() if isinstance(each, bytes) else each for each in values)] = None
    distinct = [each for each in found if len(set(each)) > 1]
    return distinct[0] if len(distinct) == 1 else ()


class _Builder:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or f"served/{len(self.nodes)}_{operator}_{len(self.weights)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def weight(self, values: Any, dtype: Any) -> str:
        """Add a constant and return its name."""
        name = f"served/constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name


def _feed(builder: _Builder, inputs: Sequence[onnx.ValueInfoProto], widths: Sequence[int]) -> None:
    """Make each of the foreign ``inputs`` from columns of ``inputs``. Operators are those that no opset changed."""
    first = 0
    for value, width in zip(inputs, widths, strict=True):
        found, dims = "inputs", dims_of(value)
        if len(inputs) > 1:
            found = builder.add("Gather", found, builder.weight(range(first, first + width), np.int64), axis=1)
        if len(dims) != 2:
            shape = [-1, *(each or width for each in dims[1:])]
            found = builder.add("Reshape", found, builder.weight(shape, np.int64))
        builder.add("Cast", found, output=value.name, to=value.type.tensor_type.elem_type)
        first += width


def _finish(builder: _Builder, answer: str, kind: int, role: Role, columns: int) -> list[onnx.ValueInfoProto]:
    flat = builder.add("Reshape", answer, builder.weight([-1, columns], np.int64))
    if role == "values":
        kept = TensorProto.DOUBLE if kind == TensorProto.DOUBLE else TensorProto.FLOAT
        builder.add("Cast", flat, output="prediction", to=kept)
        return [helper.make_tensor_value_info("prediction", kept, ["rows", columns])]
    found = builder.add("Cast", flat, to=TensorProto.FLOAT)
    if role == "logits":
        found = builder.add("Sigmoid", found) if columns == 1 else builder.add("Softmax", found, axis=1)
    if columns == 1:
        rest = builder.add("Sub", builder.weight(1, np.float32), found)
        found = builder.add("Concat", rest, found, axis=1)
    builder.add("Identity", found, output="probabilities")
    builder.add("ArgMax", found, output="prediction", axis=1, keepdims=0)
    return [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", max(columns, 2)]),
        helper.make_tensor_value_info("prediction", TensorProto.INT64, ["rows"]),
    ]


def _free_batch(model: onnx.ModelProto) -> None:
    """Let reshapes keep the number of rows, in a graph that was exported for one row."""
    if any(dims_of(each)[0] is None for each in inputs_of(model)):
        return
    weights = {each.name: each for each in model.graph.initializer}
    constants = (node for node in model.graph.node if node.op_type == "Constant")
    weights |= {node.output[0]: each.t for node in constants for each in node.attribute if each.name == "value"}
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in weights:
            continue
        shape = numpy_helper.to_array(weights[node.input[1]]).copy()
        if shape.size and shape[0] == 1 and 0 not in shape:
            shape[0] = 0  # as in the input
            weights[node.input[1]].CopyFrom(numpy_helper.from_array(shape, node.input[1]))
            kept = [each for each in node.attribute if each.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _needed(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """The nodes that ``output`` depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
