"""One temperature for all logits, so that a probability of 0.9 is right nine times in ten.

https://arxiv.org/abs/1706.04599 (Guo et al., On Calibration of Modern Neural Networks)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_LARGEST = 20.0


def temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float32] | None = None
) -> float:
    """The number by which ``logits`` (rows, classes) are divided for the least log-loss on ``labels`` (rows,).

    Each row counts by its place in ``weights`` (rows,), or all alike.
    As if there were one more row, whose label may be any: without it the best temperature of a few rows that are all
    told apart is 0, and a network that sure of itself is far off where it errs (as J. Platt saw of support vector
    machines in 1999). Between 1/20 and 20.
    """
    exact = logits.astype(np.float64)
    rows, counts = np.arange(len(labels)), np.ones(len(labels)) if weights is None else weights
    counts = counts / counts.mean()

    def log_loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(exact / math.exp(log_temperature), axis=1)
        return -float(counts @ log_probabilities[rows, labels] + log_probabilities.mean())

    found = minimize_scalar(log_loss, bounds=(-math.log(_LARGEST), math.log(_LARGEST)), method="bounded")
    return math.exp(found.x)
