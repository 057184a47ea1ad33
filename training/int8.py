"""The same network in int8, where it is as good: judged beside it, by accuracy and by changed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import runtime
from training.data.split import Split

CALIBRATION_ROWS: Final = 2000
# A tenth of a percent cannot be told from fewer. Rows that both were trained on tell two graphs apart as well, so that
# they fill up the validation rows where those are not so many.
JUDGED_ROWS: Final = 10_000
MAX_ACCURACY_LOSS: Final = 0.001
MAX_LABELS_CHANGED: Final = 0.003


@dataclass(frozen=True, slots=True)
class Comparison:
    """An int8 graph beside its fp32 twin, over ``rows`` rows that its scales were not taken from."""

    graph: bytes
    rows: int
    accuracy_loss: float
    labels_changed: float
    max_probability_change: float

    @property
    def as_good(self) -> bool:
        """Whether it may be published beside it."""
        return self.accuracy_loss <= MAX_ACCURACY_LOSS and self.labels_changed <= MAX_LABELS_CHANGED


def compare(graph: bytes, inputs: NDArray[Any], labels: NDArray[np.int64], parts: Split, seed: int) -> Comparison:
    """Quantise ``graph``, its scales from some of the training rows, and hold it against itself on other rows.

    ``inputs`` (rows, features) are raw, ``labels`` int64 (rows,) their true ones; ``seed`` chooses among the training
    rows. The test rows are not looked at.
    """
    train = parts.train[np.random.default_rng(seed).permutation(len(parts.train))]
    calibration, others = train[:CALIBRATION_ROWS], train[CALIBRATION_ROWS:]
    judged = np.concatenate([parts.validation, others[: max(JUDGED_ROWS - len(parts.validation), 0)]])
    twin = runtime.quantised(graph, inputs[calibration])
    probabilities, predicted = runtime.run(graph, inputs[judged])
    probabilities_int8, predicted_int8 = runtime.run(twin, inputs[judged])
    true = labels[judged]
    return Comparison(
        graph=twin,
        rows=len(judged),
        accuracy_loss=float((predicted == true).mean() - (predicted_int8 == true).mean()),
        labels_changed=float((predicted != predicted_int8).mean()),
        max_probability_change=float(np.abs(probabilities - probabilities_int8).max()),
    )
