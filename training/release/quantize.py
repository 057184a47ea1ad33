"""Quantize a graph to int8, and compare it with the fp32 graph on rows that its scales were not taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from service import int8
from service.int8 import Int8, Probabilities
from training.data.dataset import Dataset
from training.data.split import Split
from training.release import evaluate, onnx_runtime, rounding

CALIBRATION_ROWS: Final = 2000
# So many that a rare class has rows, too. The validation rows are filled up with training rows: those tell two graphs
# of the same network apart as well as any.
COMPARISON_ROWS: Final = 10_000
# Between two layers of 256 units, one row takes as long in int8 as in fp32, and 64 rows half as long. Between smaller
# ones one row takes longer, and between two of 512 units it takes two thirds of the time.
MIN_WEIGHTS: Final = 256 * 256
# Operators of encodings, before the first layer of a table.
_ENCODING: Final = ("Clip", "Concat")
_SMALLEST: Final = 1e-12  # of a probability, for ratios and logarithms


@dataclass(frozen=True, slots=True)
class Comparison:
    """An int8 ``graph``, how it compares with the fp32 graph, and why it may not be published (None if it may)."""

    graph: bytes
    measured: Int8
    fault: str | None


def refusal(graph: bytes, dataset: Dataset, split: Split, seed: int | None) -> str | None:
    """Why no int8 graph is made of ``graph``, as a clause; None if one should be made and compared."""
    if not dataset.classifies:
        return "a regression is served in fp32 alone"
    weights = sum(products_of(graph, images=dataset.images).values())
    if weights < MIN_WEIGHTS:
        return f"it would have {weights:,} weights in int8, and is no faster below {MIN_WEIGHTS:,}"
    rows = len(comparison_rows(split, seed))
    if rows < int8.MIN_ROWS:
        return f"it could be compared with fp32 on {rows:,} rows, and {int8.MIN_ROWS:,} are needed"
    return None


def compare(graph: bytes, dataset: Dataset, split: Split, seed: int | None) -> Comparison:
    """Quantize the classifier ``graph`` and compare the two graphs.

    The scales come from up to `CALIBRATION_ROWS` training rows, which ``seed`` selects (None as 0). The comparison is
    on up to `COMPARISON_ROWS` rows: the validation rows, then other training rows. Test rows are not used. The weights
    are rounded to suit the rows that the scales come from.

    The first layer of a table stays fp32, as one scale would have to cover all its inputs. Those of an estimator are in
    the units of the data, such as 0 to 5 and 0 to 600,000. Even standardised, an outlier of one feature would cost all
    others precision. Activations of hidden layers have no units, and their range is kept whole,
    so that no row is clipped. Pixels have one unit, so all layers of images are quantized.
    """
    calibration, comparison = _rows(split, seed)
    nodes = list(products_of(graph, images=dataset.images))
    rows = dataset.inputs[calibration]
    int8_graph = onnx_runtime.quantize(graph, rows, nodes, clip_outliers=dataset.images)
    int8_graph = rounding.round_weights(graph, int8_graph, nodes, rows)
    inputs, targets = dataset.inputs[comparison], dataset.targets[comparison]
    measured = measure(graph, int8_graph, inputs, targets, len(dataset.labels))
    return Comparison(int8_graph, measured, measured.fault(dataset.class_names))


def products_of(graph: bytes, *, images: bool) -> Mapping[str, int]:
    """The matrix products to quantize, by the name of their node, each with its number of weights.

    For images these are all; for a table those whose input is a hidden layer.
    """
    nodes = onnx.load_model_from_string(graph).graph
    weights = {each.name: int(np.prod(each.dims)) for each in nodes.initializer}
    products = [node for node in nodes.node if node.op_type == "Gemm"]
    producers = {output: node for node in nodes.node for output in node.output}
    return {
        node.name: weights[node.input[1]] for node in products if images or _follows_a_layer(node.input[0], producers)
    }


def _follows_a_layer(value: str, producers: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether ``value`` comes from a matrix product that is no encoding."""
    found, seen = [value], set[str]()
    while found:
        name = found.pop()
        node = producers.get(name)
        if node is None or name in seen or node.op_type in _ENCODING:
            continue
        if node.op_type == "Gemm":
            return True
        seen.add(name)
        found += node.input
    return False


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
        log_loss_fp32=evaluate.log_loss(probabilities, targets),
        log_loss_int8=evaluate.log_loss(int8_probabilities, targets),
        labels_changed=int((predicted != int8_predicted).sum()),
        max_probability_change=float(np.abs(probabilities - int8_probabilities).max()),
        class_rows=by_class(np.ones(len(targets), bool)),
        class_lost=by_class(right & ~int8_right),
        class_won=by_class(~right & int8_right),
        probabilities=_probabilities(probabilities, int8_probabilities, targets),
    )


def _probabilities(
    fp32: NDArray[np.float32], in_int8: NDArray[np.float32], targets: NDArray[np.int64]
) -> Probabilities:
    before, after = (np.maximum(each.astype(np.float64), _SMALLEST) for each in (fp32, in_int8))
    in_tail = np.maximum(before, after) < int8.TAIL
    ratios = np.where(in_tail, 1.0, np.maximum(before / after, after / before)).max(axis=1)
    return Probabilities(
        ece_fp32=evaluate.calibration_error(fp32, targets),
        ece_int8=evaluate.calibration_error(in_int8, targets),
        change_q999=float(np.quantile(np.abs(before - after).max(axis=1), 0.999)),
        ratio_q999=float(np.quantile(ratios, 0.999)),
        class_share_fp32=tuple(before.mean(axis=0).tolist()),
        class_share_int8=tuple(after.mean(axis=0).tolist()),
        class_loss_fp32=_class_losses(before, targets),
        class_loss_int8=_class_losses(after, targets),
    )


def _class_losses(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, ...]:
    """The mean log-loss of the rows of each class; 0 without rows."""
    classes = probabilities.shape[1]
    losses = np.maximum(-np.log(probabilities[np.arange(len(targets)), targets]), 0)
    sums, counts = np.bincount(targets, losses, classes), np.bincount(targets, minlength=classes)
    return tuple((sums / np.maximum(counts, 1)).tolist())


def _rows(split: Split, seed: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Calibration rows and comparison rows."""
    train = split.train[np.random.default_rng(seed or 0).permutation(len(split.train))]
    calibration, others = train[:CALIBRATION_ROWS], train[CALIBRATION_ROWS:]
    return calibration, np.concatenate([split.validation, others[: max(COMPARISON_ROWS - len(split.validation), 0)]])
