"""Functions of a foreign graph are counted before they are put in the places of their calls."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper, inliner

from training.errors import GraphError
from training.release.importing import graph
from training.release.importing.faults import expanded_nodes

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """One that calls others, one after the other."""
    names = ["x", *(f"t{number}" for number in range(1, len(calls))), "y"]
    nodes = [
        helper.make_node(call, [before], [after], domain="own" if call.startswith("F") else "")
        for call, before, after in zip(calls, names, names[1:], strict=False)
    ]
    return helper.make_function("own", name, ["x"], ["y"], nodes, OPSETS)


def calling(*functions: onnx.FunctionProto) -> onnx.ModelProto:
    """A graph that calls F0 once, and has an operator more."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in ("inputs", "outputs")]
    nodes = [helper.make_node("F0", ["inputs"], ["a"], domain="own"), helper.make_node("Relu", ["a"], ["outputs"])]
    body = helper.make_graph(nodes, "network", value[:1], value[1:])
    return helper.make_model(body, opset_imports=OPSETS, functions=functions, ir_version=10)


def test_nodes_are_counted_as_the_inliner_makes_them() -> None:
    model = calling(function("F0", "F1", "Relu", "F1"), function("F1", "Relu", "Relu"))
    assert expanded_nodes(model) == len(inliner.inline_local_functions(model).graph.node) == 6
    assert expanded_nodes(calling()) == 2


def test_few_functions_that_expand_to_very_many_nodes_are_refused() -> None:
    doubled = [function(f"F{number}", f"F{number + 1}", f"F{number + 1}") for number in range(60)]
    content = calling(*doubled, function("F60", "Relu")).SerializeToString()
    assert len(content) < 10_000
    with pytest.raises(
        GraphError, match=r"its functions expand to 1,152,921,504,606,846,977 nodes, expected 1,000,000 "
    ):
        graph.read(content)


def test_a_function_that_calls_itself_is_refused() -> None:
    with pytest.raises(GraphError, match="must not be recursive"):
        graph.read(calling(function("F0", "F1"), function("F1", "F0")).SerializeToString())
