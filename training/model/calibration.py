"""Temperature scaling: divide all logits by one number, so that predicted probabilities match observed frequencies.

https://arxiv.org/abs/1706.04599 (Guo et al., On Calibration of Modern Neural Networks)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_MAX_TEMPERATURE = 20.0


def temperature(
    logits: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float32] | None = None
) -> float:
    """The temperature, 1/20 to 20, with the lowest log-loss of ``logits`` (rows, classes) on ``labels`` (rows,).

    The logits of an ensemble are (members, rows, classes); the loss is then that of the mean of their probabilities.
    ``weights`` (rows,) weight the rows. Adds one pseudo-row with a uniform label, so perfectly separable data does not
    drive the temperature to 0 (after Platt, Probabilistic Outputs for Support Vector Machines, 1999).
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import, and needed once a run
    from scipy.special import log_softmax, logsumexp  # noqa: PLC0415

    exact = logits.astype(np.float64)
    rows, counts = np.arange(len(labels)), np.ones(len(labels)) if weights is None else weights
    counts = counts / counts.mean()

    def log_loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(exact / math.exp(log_temperature), axis=-1)
        if exact.ndim > 2:
            log_probabilities = logsumexp(log_probabilities, axis=0) - math.log(len(exact))
        return -float(counts @ log_probabilities[rows, labels] + log_probabilities.mean())

    bound = math.log(_MAX_TEMPERATURE)
    return math.exp(minimize_scalar(log_loss, bounds=(-bound, bound), method="bounded").x)
