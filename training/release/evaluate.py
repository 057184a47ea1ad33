"""Scores of probabilities and values against the true targets, and of a baseline that ignores the features.

``weights`` (rows,) weight the rows; None for equal weights.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

BINS: Final = 15
# With more classes, the ranking scores of each would take longer than they tell.
MAX_RANKED_CLASSES: Final = 100

Weights = NDArray[np.float64] | None


def classification(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None
) -> dict[str, float]:
    """Scores of ``probabilities`` (rows, classes) against ``labels`` (rows,); classes may lack rows."""
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(probabilities.shape[1])
    present = np.unique(labels if weights is None else labels[weights > 0])
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted, sample_weight=weights)),
        "balanced_accuracy": float(
            metrics.recall_score(labels, predicted, labels=present, average="macro", sample_weight=weights)
        ),
        "log_loss": float(metrics.log_loss(labels, exact, labels=classes, sample_weight=weights)),
        "ece": calibration_error(probabilities, labels, weights),
    }


def ranking(probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights = None) -> dict[str, float]:
    """ROC-AUC and average precision of ``probabilities`` (rows, classes) against ``labels`` (rows,).

    Of two classes, the second is the positive one. Of more, each is ranked against all others and the mean is taken
    over those that some rows have, and others have not. Empty if there is no such class, or more classes than
    `MAX_RANKED_CLASSES`.
    """
    count = probabilities.shape[1]
    if count > MAX_RANKED_CLASSES:
        return {}
    found = []
    for label in range(count) if count > 2 else (1,):
        positive, scores = labels == label, probabilities[:, label]
        if len(np.unique(positive if weights is None else positive[weights > 0])) == 2:
            area = metrics.roc_auc_score(positive, scores, sample_weight=weights)
            found.append((area, metrics.average_precision_score(positive, scores, sample_weight=weights)))
    if not found:
        return {}
    areas, precisions = zip(*found, strict=True)
    return {"roc_auc": float(np.mean(areas)), "average_precision": float(np.mean(precisions))}


def regression(values: NDArray[Any], targets: NDArray[np.float64], weights: Weights = None) -> dict[str, float]:
    """Scores of ``values`` (rows, targets) against ``targets``, in float64; each is the mean over the targets."""
    values = values.astype(np.float64)
    return {
        "mae": float(metrics.mean_absolute_error(targets, values, sample_weight=weights)),
        "rmse": float(metrics.root_mean_squared_error(targets, values, sample_weight=weights)),
        "r2": float(metrics.r2_score(targets, values, sample_weight=weights)),
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
    mean, median = (
        np.broadcast_to(value, targets.shape)
        for value in (np.average(train, axis=0, weights=train_weights), _median(train, train_weights))
    )
    return regression(mean, targets, weights) | {"mae": regression(median, targets, weights)["mae"]}


def _median(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """The weighted median of each column of ``values``: the smallest value that half of the weight does not exceed."""
    if weights is None:
        return np.asarray(np.median(values, axis=0))
    order = np.argsort(values, axis=0, kind="stable")
    total = np.cumsum(weights[order], axis=0)
    first = (total >= total[-1] / 2).argmax(axis=0)
    found: NDArray[np.float64] = np.take_along_axis(values, np.take_along_axis(order, first[None], axis=0), axis=0)[0]
    return found


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
