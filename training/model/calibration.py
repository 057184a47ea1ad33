"""Temperature scaling: divide all logits by one number, so that predicted probabilities match observed frequencies.

https://arxiv.org/abs/1706.04599 (Guo et al., On Calibration of Modern Neural Networks)
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAX_TEMPERATURE: Final = 20.0
_PRECISION: Final = 1e-7  # of the temperature, relative
_MAX_STEPS: Final = 100


def temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float32] | None = None
) -> float:
    """The temperature, 1/20 to 20, with the lowest log-loss of ``logits`` (rows, classes) on ``labels`` (rows,).

    ``weights`` (rows,) weight the rows. Adds one pseudo-row with a uniform label, so perfectly separable data does not
    drive the temperature to 0 (after Platt, Probabilistic Outputs for Support Vector Machines, 1999).

    The loss is convex in 1 / temperature: Newton's method finds its minimum, within a bracket that is halved where a
    step would leave it.
    """
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    counts = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    counts /= counts.mean()
    of_labels = exact[np.arange(len(labels)), labels]
    low, high, factor = 1 / _MAX_TEMPERATURE, _MAX_TEMPERATURE, 1.0
    for _ in range(_MAX_STEPS):
        probabilities = np.exp(factor * exact)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        means = (probabilities * exact).sum(axis=1)
        variances = (probabilities * exact**2).sum(axis=1) - means**2
        slope = float(counts @ (means - of_labels) + (means - exact.mean(axis=1)).mean())
        curvature = float(counts @ variances + variances.mean())
        low, high = (low, factor) if slope > 0 else (factor, high)
        step = factor - slope / curvature if curvature > 0 else math.inf
        if not low < step < high:
            step = math.sqrt(low * high)
        change, factor = abs(step - factor), step
        if change <= _PRECISION * factor:
            break
    return 1 / factor
