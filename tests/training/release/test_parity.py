"""The parity check accepts the network's own graph, and no other."""

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
    """The same graph with ``change`` added to one weight of its last layer."""
    model = onnx.load_model_from_string(graph)
    name = next(node.input[1] for node in reversed(model.graph.node) if node.op_type == "Gemm")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(weights).copy()
    values[0, 0] += change
    weights.CopyFrom(numpy_helper.from_array(values, name))
    return model.SerializeToString()


def error_of(graph: bytes, inputs: NDArray[Any], expected: list[NDArray[Any]]) -> str:
    with pytest.raises(ParityError) as raised:
        parity.check(graph, inputs, expected)
    return str(raised.value)


def test_the_networks_own_graph_passes_and_the_largest_error_is_returned(digits: Trained) -> None:
    found = parity.check(digits.published.model, digits.test_inputs, digits.outputs)
    largest = np.abs(onnx_runtime.run(digits.published.model, digits.test_inputs)[0] - digits.outputs[0]).max()
    assert found == {"rows": len(digits.test_inputs), "max_probability_error": largest, "labels_changed": 0}
    assert found == digits.published.manifest.parity


@pytest.mark.parametrize("change", [0.01, 1.0])
def test_one_changed_weight_is_rejected(digits: Trained, change: float) -> None:
    message = error_of(altered(digits.published.model, change), digits.test_inputs, digits.outputs)
    assert re.fullmatch(
        rf"ONNX Runtime {re.escape(onnx_runtime.VERSION)} and torch differ by [\de.-]+, expected at most 1e-05; "
        "nothing is published",
        message,
    )


def test_nan_is_rejected(digits: Trained) -> None:
    message = error_of(altered(digits.published.model, np.nan), digits.test_inputs, digits.outputs)
    assert message == (
        f"ONNX Runtime {onnx_runtime.VERSION} and torch differ by nan, expected at most 1e-05; nothing is published"
    )


def test_a_different_label_is_rejected_even_if_probabilities_are_equal(digits: Trained) -> None:
    probabilities, prediction = digits.outputs
    other = prediction.copy()
    other[[3, 5]] = (other[[3, 5]] + 1) % 10
    assert error_of(digits.published.model, digits.test_inputs, [probabilities, other]) == (
        f"ONNX Runtime {onnx_runtime.VERSION} and torch differ in 2 of {len(prediction)} labels; nothing is published"
    )


def test_the_tolerance_of_values_is_relative_to_their_range(digits: Trained) -> None:
    """Values in the millions may differ only by the rounding of float32."""
    model = onnx.load_model_from_string(digits.published.model)
    model.graph.output.pop(1)
    values = 1e6 * digits.outputs[0]
    (scale,) = (numpy_helper.from_array(np.float32(1e6), "million"),)
    model.graph.initializer.append(scale)
    model.graph.node[-1].CopyFrom(onnx.helper.make_node("Mul", ["probabilities", "million"], ["prediction"]))
    model.graph.output[0].name = "prediction"
    graph = model.SerializeToString()
    found = parity.check(graph, digits.test_inputs, [values])
    assert found["rows"] == len(values)
    assert 0 <= found["max_relative_error"] < 2e-6
    assert "differ by" in error_of(graph, digits.test_inputs, [values + 20])


def shifted(graph: bytes, unit: float, offset: float, dtype: Any) -> bytes:
    """The graph's probabilities times ``unit`` plus ``offset``, in ``dtype``."""
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
def test_the_tolerance_fits_tiny_values_and_values_far_from_zero(
    unit: float, offset: float, dtype: Any, digits: Trained
) -> None:
    graph = shifted(digits.published.model, unit, offset, dtype)
    values = (digits.outputs[0].astype(dtype) * dtype(unit) + dtype(offset)).astype(dtype)
    assert parity.check(graph, digits.test_inputs, [values])["max_relative_error"] < 2e-6
    wrong = values.copy()
    wrong[7, 3] += 1e-4 * unit
    assert "differ by" in error_of(graph, digits.test_inputs, [wrong])


def test_a_constant_far_from_zero_may_differ_by_the_rounding_of_float32(digits: Trained) -> None:
    graph = shifted(digits.published.model, 0.0, 1.7e9, np.float32)
    values = np.full_like(digits.outputs[0], 1.7e9)
    assert parity.check(graph, digits.test_inputs, [values])["max_relative_error"] == 0
    assert "differ by" in error_of(graph, digits.test_inputs, [values * np.float32(1.001)])
