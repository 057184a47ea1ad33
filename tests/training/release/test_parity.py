"""The proof passes a graph that is the network's, and no other."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from tests.training.trained import Trained
from training.errors import ParityError
from training.release import onnx_runtime, parity


def altered(graph: bytes, change: float) -> bytes:
    """The same graph, ``change`` added to one number of its last weights' largest row."""
    model = onnx.load_model_from_string(graph)
    name = next(node.input[1] for node in reversed(model.graph.node) if node.op_type == "Gemm")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(weights).copy()
    values[0, 0] += change
    weights.CopyFrom(numpy_helper.from_array(values, name))
    return model.SerializeToString()


def refusal(graph: bytes, inputs: NDArray[Any], expected: list[NDArray[Any]]) -> str:
    with pytest.raises(ParityError) as refused:
        parity.prove(graph, inputs, expected)
    return str(refused.value)


def test_the_networks_own_graph_passes_and_how_far_it_is_off_is_told(digits: Trained) -> None:
    found = parity.prove(digits.published.model, digits.test_inputs, digits.answers)
    largest = np.abs(onnx_runtime.run(digits.published.model, digits.test_inputs)[0] - digits.answers[0]).max()
    assert found == {"rows": len(digits.test_inputs), "max_probability_error": largest, "labels_changed": 0}
    assert found == digits.published.manifest.parity


@pytest.mark.parametrize("change", [0.01, 1.0])
def test_one_changed_weight_is_refused(digits: Trained, change: float) -> None:
    message = refusal(altered(digits.published.model, change), digits.test_inputs, digits.answers)
    assert re.fullmatch(
        rf"ONNX Runtime {re.escape(onnx_runtime.VERSION)} and torch are [\de.-]+ apart, expected 1e-05 at most; "
        "nothing is published",
        message,
    )


def test_what_is_no_number_is_refused(digits: Trained) -> None:
    message = refusal(altered(digits.published.model, np.nan), digits.test_inputs, digits.answers)
    assert message == (
        f"ONNX Runtime {onnx_runtime.VERSION} and torch are nan apart, expected 1e-05 at most; nothing is published"
    )


def test_a_label_that_differs_is_refused_however_close_the_numbers_are(digits: Trained) -> None:
    probabilities, prediction = digits.answers
    other = prediction.copy()
    other[[3, 5]] = (other[[3, 5]] + 1) % 10
    assert refusal(digits.published.model, digits.test_inputs, [probabilities, other]) == (
        f"ONNX Runtime {onnx_runtime.VERSION} and torch differ in 2 of {len(prediction)} labels; nothing is published"
    )


def test_values_are_held_to_their_own_size(digits: Trained) -> None:
    """Numbers in the millions may be apart by what float32 cannot tell, and by no more."""
    model = onnx.load_model_from_string(digits.published.model)
    model.graph.output.pop(1)
    values = 1e6 * digits.answers[0]
    (scale,) = (numpy_helper.from_array(np.float32(1e6), "million"),)
    model.graph.initializer.append(scale)
    model.graph.node[-1].CopyFrom(onnx.helper.make_node("Mul", ["probabilities", "million"], ["prediction"]))
    model.graph.output[0].name = "prediction"
    graph = model.SerializeToString()
    found = parity.prove(graph, digits.test_inputs, [values])
    assert found["rows"] == len(values)
    assert 0 <= found["max_relative_error"] < 2e-6
    assert "apart" in refusal(graph, digits.test_inputs, [values + 20])


def shifted(graph: bytes, unit: float, offset: float, dtype: Any) -> bytes:
    """The graph's probabilities as numbers of that ``unit`` and ``offset`` in ``dtype``."""
    model = onnx.load_model_from_string(graph)
    del model.graph.output[1], model.graph.node[-1]
    output, kind = model.graph.output[0], onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    output.name, output.type.tensor_type.elem_type = "prediction", kind
    for name, value in (("unit", unit), ("offset", offset)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype), name))
    model.graph.node.extend(
        [
            onnx.helper.make_node("Cast", ["probabilities"], ["cast"], to=kind),
            onnx.helper.make_node("Mul", ["cast", "unit"], ["scaled"]),
            onnx.helper.make_node("Add", ["scaled", "offset"], ["prediction"]),
        ]
    )
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("unit", "offset", "dtype"),
    [(3600.0, 1.7e9, np.float64), (1e-9, 0.0, np.float32), (1e-9, 0.0, np.float64), (1e6, 0.0, np.float32)],
)
def test_values_are_held_to_what_they_span_however_far_from_zero_or_small(
    unit: float, offset: float, dtype: Any, digits: Trained
) -> None:
    graph = shifted(digits.published.model, unit, offset, dtype)
    values = (digits.answers[0].astype(dtype) * dtype(unit) + dtype(offset)).astype(dtype)
    assert parity.prove(graph, digits.test_inputs, [values])["max_relative_error"] < 2e-6
    wrong = values.copy()
    wrong[7, 3] += 1e-4 * unit
    assert "apart" in refusal(graph, digits.test_inputs, [wrong])


def test_one_value_far_from_zero_is_held_to_what_float32_can_tell(digits: Trained) -> None:
    graph = shifted(digits.published.model, 0.0, 1.7e9, np.float32)
    values = np.full_like(digits.answers[0], 1.7e9)
    assert parity.prove(graph, digits.test_inputs, [values])["max_relative_error"] == 0
    assert "apart" in refusal(graph, digits.test_inputs, [values * np.float32(1.001)])
