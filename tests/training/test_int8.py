"""The int8 twin: what it answers does not depend on its neighbours, and it is published where it is as good."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import onnx
import pytest

from tests.training.trained import Trained
from training import int8, runtime
from training.int8 import Comparison


@pytest.fixture(scope="module")
def twin(digits: Trained) -> Comparison:
    rows = digits.parts
    inputs, targets = digits.dataset.inputs, digits.dataset.targets
    return int8.compare(
        digits.published.model, inputs[rows.train], inputs[rows.validation], targets[rows.validation], seed=0
    )


def test_it_is_judged_by_the_validation_rows(digits: Trained, twin: Comparison) -> None:
    inputs = digits.dataset.inputs[digits.parts.validation]
    labels = digits.dataset.targets[digits.parts.validation]
    probabilities, prediction = runtime.run(digits.published.model, inputs)
    in_int8 = runtime.run(twin.graph, inputs)
    right, right_in_int8 = (sum(found == labels) for found in (prediction, in_int8[1]))
    assert twin.rows == len(labels)
    assert twin.accuracy_loss == pytest.approx((right - right_in_int8) / len(labels))
    assert twin.labels_changed == sum(prediction != in_int8[1]) / len(labels)
    assert twin.max_probability_change == np.abs(probabilities - in_int8[0]).max() > 0


def test_its_products_are_in_int8_and_its_weights_a_quarter_as_large(twin: Comparison) -> None:
    model = onnx.load_model_from_string(twin.graph)
    onnx.checker.check_model(model)
    assert {each.domain: each.version for each in model.opset_import}[""] == 20
    kinds = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    numbers = {
        kind: sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == kind)
        for kind in (onnx.TensorProto.INT8, onnx.TensorProto.FLOAT)
    }
    weights = 64 * 32 + 32 * 10
    assert numbers[onnx.TensorProto.INT8] >= weights
    assert numbers[onnx.TensorProto.FLOAT] < weights / 4
    assert kinds & {tensor.data_type for tensor in model.graph.initializer} == kinds


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 7, 8, 16, 32, 64, 300])
def test_a_row_has_the_same_bits_alone_and_beside_others(digits: Trained, twin: Comparison, rows: int) -> None:
    together = runtime.run(twin.graph, digits.test_inputs[:rows])
    for row in range(0, rows, max(rows // 8, 1)):
        alone = runtime.run(twin.graph, digits.test_inputs[row : row + 1])
        assert np.array_equal(alone[0][0], together[0][row])
        assert alone[1][0] == together[1][row]


def test_the_seed_alone_chooses_the_calibration_rows(digits: Trained, twin: Comparison) -> None:
    rows = digits.parts
    inputs, targets = digits.dataset.inputs, digits.dataset.targets
    again = int8.compare(
        digits.published.model, inputs[rows.train], inputs[rows.validation], targets[rows.validation], seed=0
    )
    assert again == twin


@pytest.mark.parametrize(
    ("accuracy_loss", "labels_changed", "as_good"),
    [
        (0.0, 0.0, True),
        (-0.5, 0.0, True),
        (0.001, 0.003, True),
        (0.0011, 0.003, False),
        (0.001, 0.0031, False),
        (-0.01, 0.0031, False),
    ],
)
def test_it_is_as_good_within_a_thousandth_of_accuracy_and_three_of_labels(
    twin: Comparison, accuracy_loss: float, labels_changed: float, as_good: bool
) -> None:
    assert replace(twin, accuracy_loss=accuracy_loss, labels_changed=labels_changed).as_good is as_good


def test_it_is_published_where_it_is_as_good_and_only_there(digits: Trained, twin: Comparison) -> None:
    published = digits.published
    assert (published.model_int8 is not None) == twin.as_good
    assert list(published.manifest.scores) == (["fp32", "int8"] if twin.as_good else ["fp32"])


def test_quantising_leaves_the_log_as_it_was(digits: Trained, caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger().level
    runtime.quantised(digits.published.model, digits.test_inputs[:20])
    assert logging.getLogger().level == level
    assert caplog.records == []
