"""Scores of probabilities and values against the true targets."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

BINS: Final = 15


def classification(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Scores of ``probabilities`` (rows, classes) against ``labels`` (rows,); classes may lack rows."""
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(probabilities.shape[1])
    exact = probabilities.astype(np.float64)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "balanced_accuracy": float(metrics.recall_score(labels, predicted, labels=np.unique(labels), average="macro")),
        "log_loss": float(metrics.log_loss(labels, exact / exact.sum(axis=1, keepdims=True), labels=classes)),
        "ece": calibration_error(probabilities, labels),
    }


def regression(values: NDArray[Any], targets: NDArray[np.float64]) -> dict[str, float]:
    """Scores of ``values`` (rows, targets) against ``targets``, in float64; each is the mean over the targets."""
    values = values.astype(np.float64)
    return {
        "mae": float(metrics.mean_absolute_error(targets, values)),
        "rmse": float(metrics.root_mean_squared_error(targets, values)),
        "r2": float(metrics.r2_score(targets, values)),
    }


def reliability(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean confidence, accuracy and row count, each (bins,), in `BINS` equal-width bins of the top probability."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    divisor = np.maximum(counts, 1)
    return (
        np.bincount(bins, confidence, minlength=BINS) / divisor,
        np.bincount(bins, right, minlength=BINS) / divisor,
        counts,
    )


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Expected calibration error: how far confidence is from accuracy, averaged over the rows of `BINS` bins.

    https://doi.org/10.1609/aaai.v29i1.9602 (Naeini et al., 2015)
    """
    confidence, accuracy, counts = reliability(probabilities, labels)
    return float((np.abs(confidence - accuracy) * counts).sum() / counts.sum())
