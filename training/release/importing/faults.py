"""What makes a foreign graph unfit to be served, found in the file alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import onnx

from training.release.interface import listed

# Older ones lack operators that the imported graph gets: https://onnx.ai/onnx/operators/
MIN_OPSET: Final = 9
_OPSET: Final = 15
_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
# A graph with a loop may run for ever, for some rows alone. Then the server has to replace the worker.
_CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# Of a graph in which each call of a function is replaced by its nodes. Large networks have thousands.
MAX_NODES: Final = 1_000_000
_RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
NUMBERS: Final = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.INT64,
        onnx.TensorProto.INT32,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.BOOL,
    }
)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators of ``model``; graphs of trees alone, as of XGBoost, do not say one."""
    return max((each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}), default=_OPSET)


def expanded_nodes(model: onnx.ModelProto) -> int:
    """The number of nodes once each call of a function of ``model`` is replaced by its nodes."""
    functions = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(called(node.domain, node.op_type) for each in nodes for node in _with_inner(each))

    def called(domain: str, name: str) -> int:
        key = (domain, name)
        if key in functions and key not in sizes:
            sizes[key] = 1  # one that calls itself has no size; the inliner refuses it
            sizes[key] = size(functions[key].node)
        return sizes.get(key, 1)

    return size(model.graph.node)


def faults_of(model: onnx.ModelProto) -> list[str]:
    """Every reason not to serve ``model``, each with the way out."""
    faults = []
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model)):
        faults.append("it keeps weights in other files; save it as one file, as onnx.save_model does by default")
    if opset_of(model) < MIN_OPSET:
        faults.append(f"its opset is {opset_of(model)}, expected {MIN_OPSET} or newer; export it with target_opset=20")
    nodes = list(_nodes(model.graph))
    if found := sorted({node.op_type for node in nodes} & _CONTROL_FLOW):
        faults.append(f"it has control flow ({', '.join(found)}), which may never end; export the network without it")
    if found := sorted({node.op_type for node in nodes} & _RANDOM):
        faults.append(f"it draws random numbers ({', '.join(found)}); export it for inference, not for training")
    if foreign := dict.fromkeys(node.domain for node in nodes if node.domain not in _DOMAINS):
        faults.append(f"it uses operators of {listed(foreign)}, which ONNX Runtime does not have; export without them")
    return faults + _input_faults(model)


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller gives: old files list the weights among them."""
    weights = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in weights]


def dims_of(value: onnx.ValueInfoProto) -> list[int | None]:
    """The shape of a tensor; None where it is not fixed."""
    return [each.dim_value or None for each in value.type.tensor_type.shape.dim]


def _input_faults(model: onnx.ModelProto) -> list[str]:
    inputs = inputs_of(model)
    faults = [] if inputs else ["it has no input; export the network with one"]
    for value in inputs:
        kind = value.type.tensor_type.elem_type
        if kind == onnx.TensorProto.STRING:
            faults.append(
                f"its input {value.name!r} takes strings; encode them before the network, and export what follows"
            )
        elif kind not in NUMBERS:
            faults.append(f"its input {value.name!r} is no tensor of numbers; export it with one such as float32")
        elif not value.type.tensor_type.HasField("shape") or not dims_of(value):
            faults.append(f"its input {value.name!r} has no shape; export it with one such as (rows, 4)")
        elif dims_of(value)[0] not in {None, 1}:
            rows = dims_of(value)[0]
            faults.append(
                f"its input {value.name!r} takes {rows} rows at once; export it with a variable number of rows"
            )
        elif len(dims_of(value)) > 2 and None in dims_of(value)[1:]:
            faults.append(f"its input {value.name!r} has a variable size; export it with one such as (rows, 28, 28)")
        elif len(inputs) > 1 and (len(dims_of(value)) > 2 or None in dims_of(value)[1:]):
            faults.append(f"its input {value.name!r} is one of several and no column; export it as (rows, 1)")
    return faults


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in _nodes(model.graph):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield from _with_inner(node)


def _with_inner(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """A node, and those of the graphs within it."""
    yield node
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            yield from _nodes(inner)
