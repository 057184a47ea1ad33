"""The int8 twin: what it answers does not depend on its neighbours, and it is published where it is as good."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest

from service.int8 import Int8
from tests.training import small
from tests.training.trained import Trained
from training.config import Config
from training.data.split import split
from training.recipe import train
from training.release import evaluate, onnx_runtime, quantize
from training.release.onnx_export import export
from training.release.quantize import Comparison


@pytest.fixture(scope="module")
def twin(digits: Trained) -> Comparison:
    return compared(digits)


def compared(digits: Trained) -> Comparison:
    dataset = digits.dataset
    return quantize.compare(
        digits.published.model, dataset.inputs, dataset.targets, dataset.label_texts, digits.parts, seed=0
    )


def test_training_rows_that_gave_no_scale_fill_up_the_validation_rows(
    digits: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "CALIBRATION_ROWS", 100)
    parts = digits.parts
    assert compared(digits).found.rows == len(parts.validation) + len(parts.train) - 100
    monkeypatch.setattr(quantize, "JUDGED_ROWS", len(parts.validation) + 7)
    order = parts.train[np.random.default_rng(0).permutation(len(parts.train))]
    judged = quantize.judged_rows(parts, 0)
    assert judged.tolist() == [*parts.validation, *order[100:107]]
    assert not set(judged) & {*parts.test, *order[:100]}
    twin = compared(digits)
    inputs = digits.dataset.inputs[judged]
    changed = onnx_runtime.run(digits.published.model, inputs)[1] != onnx_runtime.run(twin.graph, inputs)[1]
    assert (twin.found.rows, twin.found.labels_changed) == (len(inputs), changed.sum())


def test_what_is_found_is_what_the_two_graphs_answer(digits: Trained, twin: Comparison) -> None:
    inputs = digits.dataset.inputs[digits.parts.validation]
    labels = digits.dataset.targets[digits.parts.validation]
    (probabilities, prediction), in_int8 = (
        onnx_runtime.run(each, inputs) for each in (digits.published.model, twin.graph)
    )
    right, right_in_int8 = prediction == labels, in_int8[1] == labels
    places = range(10)
    assert twin.found == Int8(
        rows=len(labels),
        log_loss_fp32=evaluate.classification(probabilities, labels)["log_loss"],
        log_loss_int8=evaluate.classification(in_int8[0], labels)["log_loss"],
        labels_changed=sum(prediction != in_int8[1]),
        max_probability_change=np.abs(probabilities - in_int8[0]).max(),
        class_rows=tuple(sum(labels == place) for place in places),
        class_lost=tuple(sum((labels == place) & right & ~right_in_int8) for place in places),
        class_won=tuple(sum((labels == place) & ~right & right_in_int8) for place in places),
    )
    assert twin.found.max_probability_change > 0
    assert twin.found.is_consistent(10)
    assert twin.found.accuracy_loss == pytest.approx(right.mean() - right_in_int8.mean())


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
    together = onnx_runtime.run(twin.graph, digits.test_inputs[:rows])
    for row in range(0, rows, max(rows // 8, 1)):
        alone = onnx_runtime.run(twin.graph, digits.test_inputs[row : row + 1])
        assert np.array_equal(alone[0][0], together[0][row])
        assert alone[1][0] == together[1][row]


def test_the_seed_alone_chooses_the_calibration_rows(digits: Trained, twin: Comparison) -> None:
    assert compared(digits) == twin


def test_a_small_set_has_too_few_rows_to_show_it(digits: Trained, twin: Comparison) -> None:
    assert twin.fault == f"it was compared with fp32 on {len(digits.parts.validation)} rows, and 2,000 are needed"
    published = digits.published
    assert (published.model_int8, published.manifest.int8, list(published.manifest.scores)) == (None, None, ["fp32"])


@pytest.mark.parametrize(("scale", "as_good"), [(1.0, True), (100_000.0, False)])
def test_columns_of_very_different_units_are_refused(scale: float, as_good: bool) -> None:
    """As in a table of loans: what decides goes from 0 to 5, and beside it stands an income of up to 600,000.

    The scaling is part of the first layer, and one int8 scale is to cover both columns.
    """
    random = np.random.default_rng(0)
    rows = 9000
    inputs = np.stack([random.uniform(0, 5, rows), random.lognormal(0, 0.5, rows) * scale], axis=1).astype(np.float32)
    share = 1 / (1 + np.exp(-6 * (inputs[:, 0] - 4)))
    dataset = small.classes(inputs, (random.random(rows) < share).astype(np.int64))
    config = Config(epochs=8, hidden=(16,), lr=0.02)
    parts = split(dataset, config)
    network = train.learn(dataset, parts, config, train.torch.device("cpu"), lambda _: None).network
    graph = export(network, 2, classifies=True)
    twin = quantize.compare(graph, dataset.inputs, dataset.targets, dataset.label_texts, parts, seed=0)
    assert twin.found.rows > 2000
    assert twin.as_good == as_good, twin
    if not as_good:
        assert str(twin.fault).startswith("its log-loss is ")
        assert twin.found.log_loss_rise > 0.3


def test_sums_of_products_do_not_saturate_on_any_processor() -> None:
    """Rows and weights as large as they come: one that adds pairs of products in 16 bits would lose half of them.

    What the graph means is what it answers when nothing of it is fused: quantised numbers, multiplied as float32.
    """
    random = np.random.default_rng(0)
    weights = random.choice([-1.0, 1.0], (64, 3)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Gemm", ["inputs", "weights", "bias"], ["logits"]),
        onnx.helper.make_node("Softmax", ["logits"], ["probabilities"]),
        onnx.helper.make_node("ArgMax", ["logits"], ["prediction"], axis=1, keepdims=0),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "large",
        [onnx.helper.make_tensor_value_info("inputs", onnx.TensorProto.FLOAT, ["rows", 64])],
        [
            onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["rows", 3]),
            onnx.helper.make_tensor_value_info("prediction", onnx.TensorProto.INT64, ["rows"]),
        ],
        [
            onnx.numpy_helper.from_array(weights / 8, "weights"),
            onnx.numpy_helper.from_array(np.zeros(3, np.float32), "bias"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    rows = random.choice([0.0, 1.0], (200, 64), p=[0.2, 0.8]).astype(np.float32)
    twin = onnx_runtime.quantised(model.SerializeToString(), rows)
    expected = np.exp(rows @ weights / 8)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(onnx_runtime.run(twin, rows)[0] - expected).max() < 0.01


def test_quantising_leaves_the_log_as_it_was(digits: Trained, caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger().level
    onnx_runtime.quantised(digits.published.model, digits.test_inputs[:20])
    assert logging.getLogger().level == level
    assert caplog.records == []
