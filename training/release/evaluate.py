"""Scores of probabilities and values against the true targets, and of a baseline that ignores the features.

``weights`` (rows,) weight the rows; None for equal weights.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15
# With more classes, the ranking scores of each would take longer than they tell.
MAX_RANKED_CLASSES: Final = 100
_SMALLEST: Final = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss clips: 0 has a finite loss

Weights = NDArray[np.float64] | None


def classification(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None
) -> dict[str, float]:
    """Scores of ``probabilities`` (rows, classes) against ``labels`` (rows,); classes may lack rows."""
    right, rows, _ = _counts(labels, probabilities.argmax(axis=1), probabilities.shape[1], weights)
    return {
        "accuracy": float(right.sum() / rows.sum()),
        "balanced_accuracy": float((right[rows > 0] / rows[rows > 0]).mean()),
        "log_loss": log_loss(probabilities, labels, weights),
        "ece": calibration_error(probabilities, labels, weights),
    }


def log_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None) -> float:
    """The mean of `log_losses`."""
    return float(np.average(log_losses(probabilities, labels), weights=weights))


def log_losses(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The negative logarithm of the probability (rows, classes) of the true class of each row, (rows,)."""
    exact = probabilities.astype(np.float64)
    likely = exact[np.arange(len(labels)), labels] / exact.sum(axis=1)
    losses: NDArray[np.float64] = -np.log(np.clip(likely, _SMALLEST, 1 - _SMALLEST))
    return losses


def ranking(probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None) -> dict[str, float]:
    """ROC-AUC and average precision of ``probabilities`` (rows, classes) against ``labels`` (rows,).

    Of two classes, the second is the positive one. Of more, each is ranked against all others and the mean is taken
    over those that some rows have, and others have not. Empty if there is no such class, or more classes than
    `MAX_RANKED_CLASSES`.
    """
    from sklearn import metrics  # noqa: PLC0415 - takes a second to import, and is needed once a run

    count = probabilities.shape[1]
    if count > MAX_RANKED_CLASSES:
        return {}
    areas, precisions = [], []
    for label in range(count) if count > 2 else (1,):
        positive, scores = labels == label, probabilities[:, label]
        if len(np.unique(positive if weights is None else positive[weights > 0])) == 2:
            areas.append(metrics.roc_auc_score(positive, scores, sample_weight=weights))
            precisions.append(metrics.average_precision_score(positive, scores, sample_weight=weights))
    if not areas:
        return {}
    return {"roc_auc": float(np.mean(areas)), "average_precision": float(np.mean(precisions))}


def regression(values: NDArray[Any], targets: NDArray[np.float64], weights: Weights = None) -> dict[str, float]:
    """Scores of ``values`` (rows, targets) against ``targets``, in float64; each is the mean over the targets."""
    errors = values.astype(np.float64) - targets
    squares = np.average(errors**2, axis=0, weights=weights)
    total = np.average((targets - np.average(targets, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    explained = 1 - squares / np.where(total > 0, total, 1)
    return {
        "mae": float(np.average(np.abs(errors), axis=0, weights=weights).mean()),
        "rmse": float(np.sqrt(squares).mean()),
        # A constant target is predicted exactly, or not at all.
        "r2": float(np.where(total > 0, explained, np.where(squares > 0, 0.0, 1.0)).mean()),
    }


def confusion(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, weights: Weights = None
) -> NDArray[Any]:
    """The number of rows, or their weight, (classes, classes) by true and predicted class."""
    counts = np.bincount(labels * classes + predicted, weights, minlength=classes**2)
    return counts.reshape(classes, classes)


def _counts(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, weights: Weights
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The number of rows, or their weight, that are right, by true class and by predicted class, each (classes,)."""
    right = labels == predicted
    return (
        np.bincount(labels[right], None if weights is None else weights[right], classes),
        np.bincount(labels, weights, classes),
        np.bincount(predicted, weights, classes),
    )


def by_class(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, weights: Weights = None
) -> dict[str, NDArray[Any]]:
    """Recall, precision and F1 of each class, each (classes,) and 0 where undefined, and its number of rows."""
    right, true, found = _counts(labels, predicted, classes, weights)
    return {
        "recall": right / np.where(true > 0, true, 1),
        "precision": right / np.where(found > 0, found, 1),
        "f1": 2 * right / np.where(true + found > 0, true + found, 1),
        "rows": np.bincount(labels, minlength=classes),
    }


def class_baseline(
    train: NDArray[np.int64], labels: NDArray[np.int64], classes: int, train_weights: Weights, weights: Weights
) -> dict[str, float]:
    """Scores for always answering the share of each of the ``classes`` in the training rows, so the commonest class.

    ``train`` and ``labels`` are the classes of the training and test rows.
    """
    shares = np.bincount(train, train_weights, classes)
    constant = np.broadcast_to((shares / shares.sum()).astype(np.float32), (len(labels), classes))
    return classification(constant, labels, weights) | ranking(constant, labels, weights)


def number_baseline(
    train: NDArray[np.float64], targets: NDArray[np.float64], train_weights: Weights, weights: Weights
) -> dict[str, float]:
    """Scores for always answering the mean of the training rows, and for the absolute error their median.

    ``train`` and ``targets`` are (rows, targets).
    """
    method: Literal["linear", "inverted_cdf"] = (
        "linear" if train_weights is None else "inverted_cdf"
    )  # the only one that takes weights
    middle = np.quantile(train, 0.5, axis=0, method=method, weights=train_weights)
    mean, median = (
        np.broadcast_to(value, targets.shape) for value in (np.average(train, axis=0, weights=train_weights), middle)
    )
    return regression(mean, targets, weights) | {"mae": regression(median, targets, weights)["mae"]}


def reliability(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean confidence, accuracy and weight of the rows, each (bins,), in `BINS` equal bins of the top probability.

    Without weights, the weight of the rows is their number.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    weights = np.ones(len(labels)) if weights is None else weights
    totals = np.bincount(bins, weights, minlength=BINS).astype(np.float64)
    divisor = np.where(totals > 0, totals, 1)
    return (
        np.bincount(bins, confidence * weights, minlength=BINS) / divisor,
        np.bincount(bins, right * weights, minlength=BINS) / divisor,
        totals,
    )


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None) -> float:
    """Expected calibration error: how far confidence is from accuracy, averaged over the rows of `BINS` bins.

    https://doi.org/10.1609/aaai.v29i1.9602 (Naeini et al., 2015)
    """
    confidence, accuracy, totals = reliability(probabilities, labels, weights)
    return float((np.abs(confidence - accuracy) * totals).sum() / totals.sum())
