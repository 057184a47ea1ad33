"""Each limit on an int8 graph rejects a graph that exceeds that limit alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.int8 import Int8
from training.release import quantize

ROWS: Final = 4000
LABELS: Final = ("ape", "bee", "rare")
Array = NDArray[np.float64]


def graph(*, changes: bool) -> bytes:
    """Rows are log-probabilities of three classes, then what the graph with ``changes`` adds to them."""
    second = np.eye(3) if changes else np.zeros((3, 3))
    weights = numpy_helper.from_array(np.concatenate([np.eye(3), second]).astype(np.float32), "weights")
    nodes = [
        helper.make_node("MatMul", ["inputs", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ArgMax", ["logits"], ["prediction"], axis=1, keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 3]),
        helper.make_tensor_value_info("prediction", TensorProto.INT64, ["rows"]),
    ]
    inputs = [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["rows", 6])]
    model = helper.make_graph(nodes, "classifier", inputs, outputs, [weights])
    content: bytes = helper.make_model(
        model, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()
    onnx.checker.check_model(content)
    return content


def rows() -> tuple[Array, NDArray[np.int64]]:
    """Calibrated probabilities (rows, classes), 0.01 for the last class, and the true classes."""
    random = np.random.default_rng(0)
    first = 0.99 / (1 + np.exp(random.normal(0, 1, ROWS)))
    probabilities = np.stack([first, 0.99 - first, np.full(ROWS, 0.01)], axis=1)
    return probabilities, (random.random((ROWS, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)


def measured(change: Callable[[Array, NDArray[np.int64]], None]) -> Int8:
    """A graph compared with one whose probabilities ``change`` edits in place; they need not sum to 1."""
    before, targets = rows()
    after = before.copy()
    change(after, targets)
    after /= after.sum(axis=1, keepdims=True)
    inputs = np.concatenate([np.log(before), np.log(after) - np.log(before)], axis=1).astype(np.float32)
    return quantize.measure(graph(changes=False), graph(changes=True), inputs, targets, 3)


def nothing(after: Array, _targets: NDArray[np.int64]) -> None:
    pass


def too_confident(after: Array, _targets: NDArray[np.int64]) -> None:
    sharper = after[:, :2] ** 1.12
    after[:, :2] = 0.99 * sharper / sharper.sum(axis=1, keepdims=True)


def far_off_in_a_few_rows(after: Array, _targets: NDArray[np.int64]) -> None:
    moved = np.flatnonzero(np.abs(after[:, 0] - 0.6) < 0.05)[:8]
    after[moved, 0] += 0.13
    after[moved, 1] -= 0.13


def very_far_off_in_one_row(after: Array, _targets: NDArray[np.int64]) -> None:
    row = np.flatnonzero(np.abs(after[:, 0] - 0.6) < 0.05)[0]
    after[row, :2] = 0.95, 0.04


def three_times_a_small_probability(after: Array, _targets: NDArray[np.int64]) -> None:
    after[:8, 2] *= 3.2


def a_rare_class_more_often(after: Array, _targets: NDArray[np.int64]) -> None:
    after[:, 2] *= 1.015


def a_rare_class_less_likely_where_it_is_true(after: Array, targets: NDArray[np.int64]) -> None:
    after[targets == 2, 2] *= 0.97


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (nothing, None),
        (too_confident, "its calibration error is "),
        (far_off_in_a_few_rows, "it changes a probability by 0.1"),
        (very_far_off_in_one_row, "it changes a probability by 0.3"),
        (three_times_a_small_probability, "it changes a probability of 0.001 or more by a factor of 3.1"),
        (
            a_rare_class_more_often,
            "its mean probability of 'rare' is 0.01015 beside 0.01 in fp32, and may differ by 1%",
        ),
        (a_rare_class_less_likely_where_it_is_true, "the log-loss of the rows of 'rare' is 4.6"),
    ],
)
def test_a_graph_that_exceeds_one_limit_alone(
    change: Callable[[Array, NDArray[np.int64]], None], fault: str | None
) -> None:
    found = measured(change)
    assert found.is_consistent(3)
    faults = list(found._faults(LABELS))
    assert len(faults) == (fault is not None), faults
    assert fault is None or faults[0].startswith(fault)
    assert found.log_loss_rise < 0.005
    assert found.accuracy_loss <= 0
    assert found.labels_changed == 0


def test_a_probability_of_0_has_a_finite_ratio() -> None:
    def impossible(after: Array, _targets: NDArray[np.int64]) -> None:
        after[:, 2] = 1e-30

    found = measured(impossible)
    assert found.is_consistent(3)
    assert found.probabilities is not None
    assert found.probabilities.ratio_q999 > 1e6
