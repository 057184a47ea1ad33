"""The same network in int8: made, and held against fp32 on rows that its scales were not taken from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.int8 import Int8
from training.data.split import Split
from training.release import evaluate, onnx_runtime

CALIBRATION_ROWS: Final = 2000
# Of a rare class there are few among so many. Rows that both were trained on tell two graphs apart as well, so that
# they fill up the validation rows where those are not so many.
JUDGED_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """An int8 graph, what was found when it was held against its fp32 twin, and why it is not as good, if so."""

    graph: bytes
    found: Int8
    fault: str | None

    @property
    def as_good(self) -> bool:
        """Whether it may be published beside it."""
        return self.fault is None


def compare(
    graph: bytes, inputs: NDArray[Any], targets: NDArray[np.int64], labels: tuple[str, ...], parts: Split, seed: int
) -> Comparison:
    """Quantise ``graph``, its scales from some of the training rows, and hold it against itself on other rows.

    ``inputs`` (rows, features) are raw, ``targets`` int64 (rows,) places among the ``labels``; ``seed`` chooses among
    the training rows. The test rows are not looked at.
    """
    calibration, judged = _rows(parts, seed)
    twin = onnx_runtime.quantised(graph, inputs[calibration])
    found = judge(graph, twin, inputs[judged], targets[judged], len(labels))
    return Comparison(twin, found, found.fault(labels))


def judged_rows(parts: Split, seed: int) -> NDArray[np.int64]:
    """The rows that an int8 graph made with this ``seed`` is held against its twin on."""
    return _rows(parts, seed)[1]


def judge(graph: bytes, twin: bytes, inputs: NDArray[Any], targets: NDArray[np.int64], classes: int) -> Int8:
    """Hold ``twin`` against the fp32 ``graph`` on raw ``inputs`` (rows, features), with their ``targets`` (rows,)."""
    answers = [onnx_runtime.run(each, inputs) for each in (graph, twin)]
    (probabilities, predicted), (probabilities_int8, predicted_int8) = answers
    losses = [evaluate.classification(each, targets)["log_loss"] for each in (probabilities, probabilities_int8)]
    right, right_int8 = predicted == targets, predicted_int8 == targets

    def by_class(rows: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(np.bincount(targets[rows], minlength=classes).tolist())

    return Int8(
        rows=len(targets),
        log_loss_fp32=losses[0],
        log_loss_int8=losses[1],
        labels_changed=int((predicted != predicted_int8).sum()),
        max_probability_change=float(np.abs(probabilities - probabilities_int8).max()),
        class_rows=by_class(np.ones(len(targets), bool)),
        class_lost=by_class(right & ~right_int8),
        class_won=by_class(~right & right_int8),
    )


def _rows(parts: Split, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to take the scales from, and rows to judge by."""
    train = parts.train[np.random.default_rng(seed).permutation(len(parts.train))]
    calibration, others = train[:CALIBRATION_ROWS], train[CALIBRATION_ROWS:]
    return calibration, np.concatenate([parts.validation, others[: max(JUDGED_ROWS - len(parts.validation), 0)]])
