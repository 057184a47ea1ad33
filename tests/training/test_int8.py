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
    return int8.compare(digits.published.model, digits.dataset.inputs, digits.dataset.targets, digits.parts, seed=0)


def test_training_rows_that_gave_no_scale_fill_up_the_validation_rows(
    digits: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "CALIBRATION_ROWS", 100)
    arguments = digits.published.model, digits.dataset.inputs, digits.dataset.targets, digits.parts
    assert int8.compare(*arguments, seed=0).rows == len(digits.parts.validation) + len(digits.parts.train) - 100
    monkeypatch.setattr(int8, "JUDGED_ROWS", len(digits.parts.validation) + 7)
    judged = int8.compare(*arguments, seed=0)
    order = digits.parts.train[np.random.default_rng(0).permutation(len(digits.parts.train))]
    inputs = digits.dataset.inputs[np.concatenate([digits.parts.validation, order[100:107]])]
    changed = runtime.run(digits.published.model, inputs)[1] != runtime.run(judged.graph, inputs)[1]
    assert (judged.rows, judged.labels_changed) == (len(inputs), changed.mean())
    unseen = digits.dataset.inputs.copy()
    unseen[digits.parts.test] = np.nan
    assert int8.compare(arguments[0], unseen, *arguments[2:], seed=0) == judged


def test_a_few_rows_are_judged_by_those_of_validation_alone(digits: Trained, twin: Comparison) -> None:
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
    again = int8.compare(digits.published.model, digits.dataset.inputs, digits.dataset.targets, digits.parts, seed=0)
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
