"""Quantize a graph to int8, and compare it with the fp32 graph on rows that its scales were not taken from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.int8 import Int8
from training.data.dataset import Dataset
from training.data.split import Split
from training.release import evaluate, onnx_runtime

CALIBRATION_ROWS: Final = 2000
# So many that a rare class has rows, too. The validation rows are filled up with training rows: those tell two graphs
# of the same network apart as well as any.
COMPARISON_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """An int8 ``graph``, how it compares with the fp32 graph, and why it may not be published (None if it may)."""

    graph: bytes
    measured: Int8
    fault: str | None


def compare(graph: bytes, dataset: Dataset, split: Split, seed: int | None) -> Comparison:
    """Quantize the classifier ``graph`` and compare the two graphs.

    The scales come from up to `CALIBRATION_ROWS` training rows, which ``seed`` selects (None as 0). The comparison is
    on up to `COMPARISON_ROWS` rows: the validation rows, then other training rows. Test rows are not used.
    """
    calibration, comparison = _rows(split, seed)
    int8_graph = onnx_runtime.quantize(graph, dataset.inputs[calibration])
    inputs, targets = dataset.inputs[comparison], dataset.targets[comparison]
    measured = measure(graph, int8_graph, inputs, targets, len(dataset.labels))
    return Comparison(int8_graph, measured, measured.fault(dataset.label_texts))


def comparison_rows(split: Split, seed: int | None) -> NDArray[np.int64]:
    """The rows that `compare` compares the graphs on."""
    return _rows(split, seed)[1]


def measure(
    graph: bytes, int8_graph: bytes, inputs: NDArray[Any], targets: NDArray[np.int64], class_count: int
) -> Int8:
    """Compare both graphs on raw ``inputs`` (rows, features) and ``targets`` (rows,), indices of the classes."""
    probabilities, predicted = onnx_runtime.run(graph, inputs)
    int8_probabilities, int8_predicted = onnx_runtime.run(int8_graph, inputs)
    right, int8_right = predicted == targets, int8_predicted == targets

    def by_class(rows: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(np.bincount(targets[rows], minlength=class_count).tolist())

    return Int8(
        rows=len(targets),
        log_loss_fp32=evaluate.classification(probabilities, targets)["log_loss"],
        log_loss_int8=evaluate.classification(int8_probabilities, targets)["log_loss"],
        labels_changed=int((predicted != int8_predicted).sum()),
        max_probability_change=float(np.abs(probabilities - int8_probabilities).max()),
        class_rows=by_class(np.ones(len(targets), bool)),
        class_lost=by_class(right & ~int8_right),
        class_won=by_class(~right & int8_right),
    )


def _rows(split: Split, seed: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Calibration rows and comparison rows."""
    train = split.train[np.random.default_rng(seed or 0).permutation(len(split.train))]
    calibration, others = train[:CALIBRATION_ROWS], train[CALIBRATION_ROWS:]
    return calibration, np.concatenate([split.validation, others[: max(COMPARISON_ROWS - len(split.validation), 0)]])
