"""The same network in int8, where it is as good: judged on the validation rows, by accuracy and by changed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import runtime

CALIBRATION_ROWS: Final = 2000
MAX_ACCURACY_LOSS: Final = 0.001
MAX_LABELS_CHANGED: Final = 0.003


@dataclass(frozen=True, slots=True)
class Comparison:
    """An int8 graph beside its fp32 twin, over the validation rows."""

    graph: bytes
    rows: int
    accuracy_loss: float
    labels_changed: float
    max_probability_change: float

    @property
    def as_good(self) -> bool:
        """Whether it may be published beside it."""
        return self.accuracy_loss <= MAX_ACCURACY_LOSS and self.labels_changed <= MAX_LABELS_CHANGED


def compare(
    graph: bytes, train: NDArray[Any], validation: NDArray[Any], labels: NDArray[np.int64], seed: int
) -> Comparison:
    """Quantise ``graph``, its scales from some of the ``train`` rows, and hold it against itself on ``validation``.

    Inputs are raw rows (rows, features), ``labels`` int64 (rows,) the validation rows' true ones.
    """
    chosen = np.random.default_rng(seed).permutation(len(train))[:CALIBRATION_ROWS]
    twin = runtime.quantised(graph, train[chosen])
    probabilities, predicted = runtime.run(graph, validation)
    probabilities_int8, predicted_int8 = runtime.run(twin, validation)
    return Comparison(
        graph=twin,
        rows=len(validation),
        accuracy_loss=float((predicted == labels).mean() - (predicted_int8 == labels).mean()),
        labels_changed=float((predicted != predicted_int8).mean()),
        max_probability_change=float(np.abs(probabilities - probabilities_int8).max()),
    )
