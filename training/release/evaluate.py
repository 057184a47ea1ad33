"""Scores of probabilities and values against the true targets."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15
_SMALLEST: Final = float(np.finfo(np.float64).eps)  # a probability of 0 has a finite loss


def classification(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Scores of ``probabilities`` (rows, classes) against ``labels`` (rows,); classes may lack rows."""
    matrix = confusion(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    right, rows = matrix.diagonal(), matrix.sum(axis=1)
    exact = probabilities.astype(np.float64)
    likely = exact[np.arange(len(labels)), labels] / exact.sum(axis=1)
    return {
        "accuracy": float(right.sum() / len(labels)),
        "balanced_accuracy": float((right[rows > 0] / rows[rows > 0]).mean()),
        "log_loss": float(-np.log(np.clip(likely, _SMALLEST, 1 - _SMALLEST)).mean()),
        "ece": calibration_error(probabilities, labels),
    }


def regression(values: NDArray[Any], targets: NDArray[np.float64]) -> dict[str, float]:
    """Scores of ``values`` (rows, targets) against ``targets``, in float64; each is the mean over the targets."""
    errors = values.astype(np.float64) - targets
    squares, total = (errors**2).sum(axis=0), ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    explained = 1 - squares / np.where(total > 0, total, 1)
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean(axis=0)).mean()),
        # A constant target is predicted exactly, or not at all.
        "r2": float(np.where(total > 0, explained, np.where(squares > 0, 0.0, 1.0)).mean()),
    }


def confusion(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The number of rows (classes, classes) by true and predicted class."""
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def by_class(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> dict[str, NDArray[Any]]:
    """Recall, precision and F1 of each class, each (classes,) and 0 where undefined, and its number of rows."""
    matrix = confusion(labels, predicted, classes)
    right, rows, found = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        "recall": right / np.maximum(rows, 1),
        "precision": right / np.maximum(found, 1),
        "f1": 2 * right / np.maximum(rows + found, 1),
        "rows": rows,
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
