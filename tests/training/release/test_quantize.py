"""The int8 graph: a row's output does not depend on its batch, and the comparison with fp32 is correct."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest

from service.int8 import Int8
from tests.training import small
from tests.training.trained import Trained
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.model import preprocess
from training.model.network import Network, perceptron
from training.recipe import train
from training.release import evaluate, onnx_runtime, quantize
from training.release.onnx_export import export
from training.release.quantize import Comparison


@pytest.fixture(scope="module")
def comparison(digits: Trained) -> Comparison:
    return compare(digits)


def compare(digits: Trained) -> Comparison:
    return quantize.compare(digits.published.model, digits.dataset, digits.parts, seed=0)


def test_training_rows_beyond_the_calibration_rows_fill_up_the_validation_rows(
    digits: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "CALIBRATION_ROWS", 100)
    parts = digits.parts
    assert compare(digits).measured.rows == len(parts.validation) + len(parts.train) - 100
    monkeypatch.setattr(quantize, "COMPARISON_ROWS", len(parts.validation) + 7)
    order = parts.train[np.random.default_rng(0).permutation(len(parts.train))]
    rows = quantize.comparison_rows(parts, 0)
    assert rows.tolist() == [*parts.validation, *order[100:107]]
    assert not set(rows) & {*parts.test, *order[:100]}
    comparison = compare(digits)
    inputs = digits.dataset.inputs[rows]
    changed = onnx_runtime.run(digits.published.model, inputs)[1] != onnx_runtime.run(comparison.graph, inputs)[1]
    assert (comparison.measured.rows, comparison.measured.labels_changed) == (len(inputs), changed.sum())


def test_without_a_seed_the_rows_are_those_of_seed_0(digits: Trained) -> None:
    assert np.array_equal(quantize.comparison_rows(digits.parts, None), quantize.comparison_rows(digits.parts, 0))


def test_the_measurements_are_the_differences_of_the_two_graphs(digits: Trained, comparison: Comparison) -> None:
    inputs = digits.dataset.inputs[digits.parts.validation]
    labels = digits.dataset.targets[digits.parts.validation]
    (probabilities, prediction), in_int8 = (
        onnx_runtime.run(each, inputs) for each in (digits.published.model, comparison.graph)
    )
    right, right_in_int8 = prediction == labels, in_int8[1] == labels
    classes = range(10)
    assert comparison.measured == Int8(
        rows=len(labels),
        log_loss_fp32=evaluate.classification(probabilities, labels)["log_loss"],
        log_loss_int8=evaluate.classification(in_int8[0], labels)["log_loss"],
        labels_changed=sum(prediction != in_int8[1]),
        max_probability_change=np.abs(probabilities - in_int8[0]).max(),
        class_rows=tuple(sum(labels == each) for each in classes),
        class_lost=tuple(sum((labels == each) & right & ~right_in_int8) for each in classes),
        class_won=tuple(sum((labels == each) & ~right & right_in_int8) for each in classes),
        probabilities=comparison.measured.probabilities,
    )
    assert comparison.measured.max_probability_change > 0
    assert comparison.measured.is_consistent(10)
    assert comparison.measured.accuracy_loss == pytest.approx(right.mean() - right_in_int8.mean())


def test_weights_after_the_first_layer_are_int8(comparison: Comparison) -> None:
    model = onnx.load_model_from_string(comparison.graph)
    onnx.checker.check_model(model)
    assert {each.domain: each.version for each in model.opset_import}[""] == 20
    kinds = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    numbers = {
        kind: sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == kind)
        for kind in (onnx.TensorProto.INT8, onnx.TensorProto.FLOAT)
    }
    assert numbers[onnx.TensorProto.INT8] >= 32 * 10
    standardised = 64 * 32 + 2 * 64  # the first layer, and the offset and scale of its inputs
    assert standardised <= numbers[onnx.TensorProto.FLOAT] < standardised + 32 * 10 / 4
    assert kinds & {tensor.data_type for tensor in model.graph.initializer} == kinds


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 7, 8, 16, 32, 64, 300])
def test_a_row_has_the_same_bits_alone_and_in_a_batch(digits: Trained, comparison: Comparison, rows: int) -> None:
    together = onnx_runtime.run(comparison.graph, digits.test_inputs[:rows])
    for row in range(0, rows, max(rows // 8, 1)):
        alone = onnx_runtime.run(comparison.graph, digits.test_inputs[row : row + 1])
        assert np.array_equal(alone[0][0], together[0][row])
        assert alone[1][0] == together[1][row]


def test_the_seed_alone_chooses_the_calibration_rows(digits: Trained, comparison: Comparison) -> None:
    assert compare(digits) == comparison


def test_a_small_data_set_has_too_few_rows_for_the_comparison(digits: Trained, comparison: Comparison) -> None:
    assert comparison.fault == f"it was compared with fp32 on {len(digits.parts.validation)} rows, and 2,000 are needed"
    published = digits.published
    assert (published.model_int8, published.manifest.int8, list(published.manifest.scores)) == (None, None, ["fp32"])


@pytest.fixture(scope="module")
def loans() -> tuple[bytes, Dataset, Split]:
    """A classifier of a table like one of loans: a rate from 0 to 5 matters, an income with outliers does not."""
    random = np.random.default_rng(0)
    rows = 9000
    income = random.lognormal(0, 0.5, rows) * 100_000
    rates = random.uniform(0, 5, rows)
    income[random.random(rows) < 0.002] *= 100
    inputs = np.stack([rates, income], axis=1)
    share = 1 / (1 + np.exp(-6 * (inputs[:, 0] - 4)))
    dataset = small.classes(inputs.astype(np.float32), (random.random(rows) < share).astype(np.int64))
    config = Config(epochs=8, hidden=(16, 16), lr=0.02)
    parts = split(dataset, config)
    network = train.train_network(dataset, parts, config, train.torch.device("cpu"), lambda _: None).network
    return export(network, 2, classifies=True), dataset, parts


def test_columns_of_a_table_do_not_share_a_scale(loans: tuple[bytes, Dataset, Split]) -> None:
    comparison = quantize.compare(*loans, seed=0)
    assert comparison.fault is None
    assert comparison.measured.rows > 2000
    assert comparison.measured.log_loss_rise < 0.01


def test_a_first_layer_in_int8_would_be_rejected(
    loans: tuple[bytes, Dataset, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scale would have to cover both columns, and outliers of one take it from the other."""
    products = quantize.products_of
    monkeypatch.setattr(quantize, "products_of", lambda graph, images: products(graph, images=not images))
    comparison = quantize.compare(*loans, seed=0)
    assert str(comparison.fault).startswith("its log-loss is ")
    assert comparison.measured.log_loss_rise > 0.01


def test_products_of_encodings_are_not_quantized() -> None:
    """As a piecewise-linear encoding is exported: Gemm, Clip and Concat before the first layer."""

    def gemm(source: str, size: int, units: int) -> tuple[onnx.NodeProto, onnx.TensorProto]:
        name = f"{source} to {units}"
        weights = onnx.numpy_helper.from_array(np.zeros((size, units), np.float32), name)
        return onnx.helper.make_node("Gemm", [source, name], [f"{name} done"], name=name), weights

    encode, first, second, last = gemm("inputs", 2, 3), gemm("encoded", 5, 4), gemm("a", 4, 6), gemm("b", 6, 2)
    nodes = [
        encode[0],
        onnx.helper.make_node("Clip", ["inputs to 3 done"], ["clipped"]),
        onnx.helper.make_node("Concat", ["inputs", "clipped"], ["encoded"], axis=1),
        first[0],
        onnx.helper.make_node("Relu", ["encoded to 4 done"], ["a"]),
        second[0],
        onnx.helper.make_node("Sigmoid", ["a to 6 done"], ["gate"]),
        onnx.helper.make_node("Mul", ["a to 6 done", "gate"], ["b"]),
        last[0],
    ]
    graph = onnx.helper.make_graph(nodes, "table", [], [], [each[1] for each in (encode, first, second, last)])
    content = onnx.helper.make_model(graph).SerializeToString()
    assert quantize.products_of(content, images=False) == {"a to 6": 24, "b to 2": 12}
    assert list(quantize.products_of(content, images=True)) == ["inputs to 3", "encoded to 4", "a to 6", "b to 2"]


@pytest.mark.parametrize(
    ("hidden", "rows", "regression", "reason"),
    [
        ((256, 256), 9000, False, None),
        ((256, 250), 9000, False, "it would have 64,500 weights in int8, and is no faster below 65,536"),
        ((128, 128), 9000, False, "it would have 16,640 weights in int8, and is no faster below 65,536"),
        ((256, 256), 4000, False, "it could be compared with fp32 on 1,200 rows, and 2,000 are needed"),
        ((256, 256), 9000, True, "a regression is served in fp32 alone"),
    ],
)
def test_why_no_int8_graph_is_made(hidden: tuple[int, ...], rows: int, regression: bool, reason: str | None) -> None:
    dataset = small.sides(rows)
    if regression:
        dataset = small.values(dataset.inputs, dataset.targets.astype(np.float32))
    width, outputs = 3, 1 if regression else 2
    preparation = preprocess.Preprocess(dataset.columns, train.torch.zeros(width), train.torch.ones(width))
    network = Network(preparation, perceptron(width, hidden, outputs, "relu", 0.0, batch_norm=False), outputs)
    graph = export(network, width, classifies=not regression)
    assert quantize.refusal(graph, dataset, split(dataset, Config()), seed=0) == reason


def test_sums_of_products_do_not_saturate_on_any_processor() -> None:
    """With the largest rows and weights: a processor that adds pairs of products in 16 bits would lose half of them.

    The expected values are the quantized numbers multiplied in float32.
    """
    random = np.random.default_rng(0)
    weights = random.choice([-1.0, 1.0], (64, 3)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Gemm", ["inputs", "weights", "bias"], ["logits"], name="product"),
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
    graph_int8 = onnx_runtime.quantize(model.SerializeToString(), rows, ["product"], clip_outliers=True)
    expected = np.exp(rows @ weights / 8)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(onnx_runtime.run(graph_int8, rows)[0] - expected).max() < 0.01


def test_quantizing_logs_nothing_and_keeps_the_log_level(digits: Trained, caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger().level
    onnx_runtime.quantize(digits.published.model, digits.test_inputs[:20], ["node_linear"], clip_outliers=True)
    assert logging.getLogger().level == level
    assert caplog.records == []
