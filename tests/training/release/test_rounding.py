"""Rounding with feedback: products change less than by the nearest integers, and fit in 16 bits on any processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from tests.training.trained import Trained
from training.release import onnx_runtime, quantize, rounding

Steps = NDArray[np.float64]


def weights(inputs: int, units: int = 8, largest: float = 60.0) -> Steps:
    return np.random.default_rng(0).uniform(-largest, largest, (inputs, units))


def error(steps: Steps, found: NDArray[Any], inputs: Steps) -> float:
    """The root mean square change of the products, in steps."""
    return float(np.sqrt(np.square(inputs @ (found - steps)).mean()))


def test_independent_inputs_give_the_nearest_integers() -> None:
    steps = weights(64)
    inputs = np.diag(np.random.default_rng(1).uniform(0, 9, 64))
    assert np.array_equal(rounding.rounded(steps, inputs), np.rint(steps))


def test_inputs_that_are_always_0_give_the_nearest_integers() -> None:
    steps = weights(5)
    assert np.array_equal(rounding.rounded(steps, np.zeros((10, 5))), np.rint(steps))


@pytest.mark.parametrize("size", [16, 256, 300, 700])
def test_errors_of_inputs_that_go_together_make_up_for_each_other(size: int) -> None:
    """Neighbours of a random walk are nearly equal, as those of a picture are."""
    random = np.random.default_rng(2)
    inputs = np.cumsum(random.normal(0, 0.1, (500, size)), axis=1) + random.normal(0, 1, (500, 1))
    steps = weights(size)
    found = rounding.rounded(steps, inputs)
    assert found.dtype == np.int8
    assert np.abs(found - steps).max() < 4
    assert error(steps, found, inputs) < error(steps, np.rint(steps), inputs) / 2


def test_weights_stay_within_the_limit() -> None:
    steps = weights(40, largest=float(rounding.LIMIT))
    inputs = np.random.default_rng(3).uniform(0, 1, (100, 1)) + np.zeros((1, 40))
    assert np.abs(rounding.rounded(steps, inputs).astype(int)).max() == rounding.LIMIT


def test_weights_are_replaced_whichever_way_they_lie(digits: Trained) -> None:
    """torch exports them by unit; other exporters by input."""
    rows, inputs = digits.dataset.inputs[:500], digits.test_inputs
    by_unit = digits.published.model
    by_input = transposed(by_unit)
    expected = onnx_runtime.run(by_unit, inputs)[0]
    np.testing.assert_allclose(onnx_runtime.run(by_input, inputs)[0], expected, atol=1e-6)

    def changes(graph: bytes) -> list[float]:
        nodes = list(quantize.products_of(graph, images=True))
        nearest = onnx_runtime.quantize(graph, rows, nodes, clip_outliers=False)
        again = rounding.round_weights(graph, nearest, nodes, rows)
        onnx.checker.check_model(again)
        return [float(np.abs(onnx_runtime.run(each, inputs)[0] - expected).mean()) for each in (nearest, again)]

    nearest, again = changes(by_unit)
    assert again < nearest
    assert changes(by_input) == pytest.approx([nearest, again], rel=1e-3)


def transposed(graph: bytes) -> bytes:
    model = onnx.load_model_from_string(graph)
    tensors = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Gemm":
            tensor = tensors[node.input[1]]
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), tensor.name))
            del node.attribute[:]
    del model.graph.value_info[:]  # with their shapes before
    content: bytes = model.SerializeToString()
    return content


def test_pairs_of_products_fit_in_16_bits(digits: Trained) -> None:
    """As AVX2 adds them without VNNI: its kernel, with activations that are as bad as they can be."""
    comparison = quantize.compare(digits.published.model, digits.dataset, digits.parts, seed=0)
    graph = onnx.load_model_from_string(comparison.graph).graph
    products = [numpy_helper.to_array(each) for each in graph.initializer if each.data_type == onnx.TensorProto.INT8]
    products = [each.T for each in products if each.ndim == 2]  # (inputs, units)
    assert products
    for each in products:
        largest = np.where(each.T > 0, 255, 0), np.where(each.T < 0, 255, 0)  # of each unit
        for activations in map(np.uint8, largest):
            assert np.array_equal(saturating(activations, each), activations.astype(int) @ each)
    too_large = np.full((2, 1), 127, np.int8)
    assert saturating(np.full((1, 2), 255, np.uint8), too_large) == [[32767]]


def saturating(activations: NDArray[np.uint8], weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """The product of ``activations`` (rows, inputs) and ``weights`` (inputs, units): vpmaddubsw, then sums in 32 bits.

    It gave ONNX Runtime's labels for Fashion-MNIST on an emulated Haswell, with 8 bits and with 7.
    """
    odd = activations.shape[1] % 2
    left = np.pad(activations, ((0, 0), (0, odd))).astype(np.int64)
    right = np.pad(weights, ((0, odd), (0, 0))).astype(np.int64)
    pairs = left[:, 0::2, None] * right[0::2] + left[:, 1::2, None] * right[1::2]
    total: NDArray[np.int64] = np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=1)
    return total
