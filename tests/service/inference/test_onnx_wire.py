"""Tensors in external files are found anywhere in a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from service.errors import ModelRefused
from service.inference import onnx_wire, session
from service.inference.onnx_wire import NotOnnxError, defines_functions, has_external_data
from tests.service.errors import error_message
from tests.service.published import Network

GRAPH = Network.random(4, 3, seed=0).graph()
SECRET = np.arange(6, dtype=np.float32)


def inner() -> TensorProto:
    return numpy_helper.from_array(SECRET, "secret")


def outer(location: str = "secret.bin") -> TensorProto:
    """The same, in another file."""
    tensor = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[6], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph_of(*nodes: onnx.NodeProto, tensors: list[TensorProto] | None = None) -> onnx.GraphProto:
    found = [helper.make_tensor_value_info("found", TensorProto.FLOAT, [6])]
    return helper.make_graph(list(nodes), "inner", [], found, tensors or [])


def constant(**attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["found"], **attributes)


def sparse(tensor: TensorProto, *, indices: bool = False) -> onnx.SparseTensorProto:
    made = onnx.SparseTensorProto(dims=[6])
    (made.indices if indices else made.values).CopyFrom(tensor)
    return made


def with_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def with_sparse_values(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.append(sparse(tensor))


def with_sparse_indices(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.append(sparse(tensor, indices=True))


def with_constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(constant(value=tensor))


def with_sparse_constant(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(constant(sparse_value=sparse(tensor)))


def with_list(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(constant(values=[tensor, tensor]))


def with_sparse_list(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = constant()
    attribute = node.attribute.add(name="values", type=onnx.AttributeProto.SPARSE_TENSORS)
    attribute.sparse_tensors.append(sparse(tensor))
    model.graph.node.append(node)


def with_branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    branch = graph_of(constant(value=tensor))
    model.graph.node.append(helper.make_node("If", ["yes"], ["x"], then_branch=branch, else_branch=branch))


def with_nested_branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    branch = graph_of(tensors=[tensor])
    for _ in range(3):
        branch = graph_of(helper.make_node("If", ["yes"], ["found"], then_branch=branch, else_branch=branch))
    model.graph.node.append(helper.make_node("If", ["yes"], ["x"], then_branch=branch, else_branch=branch))


def with_graphs(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Own", [], ["x"], domain="own", bodies=[graph_of(tensors=[tensor])]))


def with_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.functions.append(
        helper.make_function("own", "Secret", [], ["found"], [constant(value=tensor)], model.opset_import)
    )


def with_function_default(model: onnx.ModelProto, tensor: TensorProto) -> None:
    with_function(model, inner())
    model.functions[0].attribute_proto.append(helper.make_attribute("default", tensor))


def with_training(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.training_info.add().initialization.CopyFrom(graph_of(tensors=[tensor]))


def with_algorithm(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.training_info.add().algorithm.CopyFrom(graph_of(tensors=[tensor]))


INSERTIONS = [value for name, value in list(globals().items()) if name.startswith("with_")]


def model_with(insert: Callable[[onnx.ModelProto, TensorProto], None], tensor: TensorProto) -> bytes:
    model = onnx.load_from_string(GRAPH)
    insert(model, tensor)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("insert", INSERTIONS)
def test_an_external_tensor_is_found_anywhere(
    insert: Callable[[onnx.ModelProto, TensorProto], None],
) -> None:
    assert not has_external_data(model_with(insert, inner()))
    assert has_external_data(model_with(insert, outer()))


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", ""])
def test_a_graph_with_external_files_is_refused_before_any_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "secret.bin").write_bytes(SECRET.tobytes())
    monkeypatch.chdir(tmp_path / "here")
    graph = model_with(with_initializer, outer(location))
    if location == "secret.bin":  # ONNX Runtime by itself opens it
        assert ort.InferenceSession(graph, providers=["CPUExecutionProvider"]).get_inputs()
    assert error_message(ModelRefused, session.build, graph, "cpu", features=4, classes=3) == (
        "the graph keeps numbers in other files, expected all of them inside; publish the model again"
    )


@pytest.mark.parametrize(
    "tensor",
    [
        b"\x70\x01",  # data_location = EXTERNAL
        b"\x70\x81\x80\x80\x80\x00",  # the same, not in the shortest form
        b"\x70\x81\x80\x80\x80\x10",  # 2^32 + 1, which overflows an int32 to 1
        b"\xf0\x80\x80\x80\x00\x01",  # a tag that is not in the shortest form
        b"\x6a\x00",  # external_data, empty
    ],
)
def test_an_unusual_encoding_of_a_tensor_is_found(tensor: bytes) -> None:
    graph = b"\x2a" + bytes([len(tensor)]) + tensor  # initializer
    assert has_external_data(b"\x3a" + bytes([len(graph)]) + graph)


def test_every_field_that_can_lead_to_a_tensor_is_followed() -> None:
    """In the installed onnx: a new field could hide a file."""

    def message_fields(descriptor: Any) -> list[Any]:
        return [field for field in descriptor.fields if field.message_type is not None]

    leads = {"TensorProto"}
    messages = dict(onnx.ModelProto.DESCRIPTOR.file.message_types_by_name.items())
    while True:
        more = {
            name for name, each in messages.items() if any(f.message_type.name in leads for f in message_fields(each))
        }
        if more <= leads:
            break
        leads |= more
    expected = {
        name: {f.number: f.message_type.name for f in message_fields(messages[name]) if f.message_type.name in leads}
        for name in leads
    }
    assert expected == onnx_wire._FIELDS
    numbers = {field.name: field.number for field in messages["TensorProto"].fields}
    assert (numbers["external_data"], numbers["data_location"]) == (onnx_wire._EXTERNAL_DATA, onnx_wire._DATA_LOCATION)


@pytest.mark.parametrize("content", [b"no graph", b"\x3a", b"\x3a\x05abc", b"\xff" * 20, b"\x3b\x3c", GRAPH[:-1]])
def test_bytes_that_are_not_a_message_are_rejected(content: bytes) -> None:
    with pytest.raises(NotOnnxError):
        has_external_data(content)


def test_messages_nested_too_deeply_are_rejected() -> None:
    content = b""
    for _ in range(200):  # a graph in an attribute of a node of a graph
        content = field(5, field(6, content))
        content = field(1, content)
    with pytest.raises(NotOnnxError, match="nested more than 100 deep"):
        has_external_data(field(7, content))


def field(number: int, content: bytes) -> bytes:
    """A message in a message."""
    size, length = b"", len(content)
    while length >= 0x80:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(content: bytes) -> None:
    try:
        has_external_data(content)
    except NotOnnxError:
        return


def test_custom_operators_are_refused() -> None:
    model = onnx.load_from_string(GRAPH)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[5].domain, model.graph.node[5].op_type = "own", "Own"
    with pytest.raises(ModelRefused, match=r"^the graph does not load: .*Own.*; publish the model again$"):
        session.build(model.SerializeToString(), "cpu", features=4, classes=3)


def test_the_format_of_onnx_runtime_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"^the graph does not load: "):
        session.build(b"\x08\x00\x00\x00ORTM" + bytes(100), "cpu", features=4, classes=3)


def test_functions_are_refused_before_they_are_put_in() -> None:
    """Each function calls the next one twice: put in their places, they are 2**60 operators."""
    model = onnx.load_from_string(GRAPH)
    assert not defines_functions(GRAPH)
    opsets = [*model.opset_import, helper.make_opsetid("own", 1)]
    for number in range(60):
        next_one = [helper.make_node(f"F{number + 1}", [a], [b], domain="own") for a, b in ("xt", "ty")]
        model.functions.append(helper.make_function("own", f"F{number}", ["x"], ["y"], next_one, opsets))
    last = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("own", "F60", ["x"], ["y"], last, opsets))
    model.opset_import.append(opsets[-1])
    model.graph.node[5].domain, model.graph.node[5].op_type = "own", "F0"
    graph = model.SerializeToString()
    assert defines_functions(graph)
    with pytest.raises(ModelRefused, match=r"^the graph defines functions, expected ONNX's operators alone; "):
        session.build(graph, "cpu", features=4, classes=3)
