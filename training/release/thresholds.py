"""What each threshold on the probability of the second of two classes gives: precision, recall, F1, share flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.release.evaluate import Weights

SHOWN: Final = tuple(step / 20 for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Threshold:
    """Scores for answering the second class where its probability is at least ``at``; 0 where they are undefined."""

    at: float
    precision: float
    recall: float
    f1: float
    flagged: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of `SHOWN`, and the one that is ``best`` by F1 on the validation rows, None without them.

    All scores are for the test rows.
    """

    shown: Sequence[Threshold]
    best: Threshold | None


def thresholds(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: Weights,
    best: float | None,
) -> Thresholds:
    """Scores of the ``probabilities`` (rows, 2) of test rows against ``labels`` (rows,), also for the ``best`` one."""
    shown = tuple(at_threshold(probabilities[:, 1], labels == 1, weights, each) for each in SHOWN)
    return Thresholds(shown, None if best is None else at_threshold(probabilities[:, 1], labels == 1, weights, best))


def at_threshold(
    scores: NDArray[np.float32], positive: NDArray[np.bool_], weights: Weights, threshold: float
) -> Threshold:
    """The scores of one ``threshold`` for the probability ``scores`` (rows,) of the ``positive`` class."""
    weights = np.ones(len(scores)) if weights is None else weights
    flagged = scores >= np.float32(threshold)
    hits, named, true = (float(weights[rows].sum()) for rows in (flagged & positive, flagged, positive))
    return Threshold(
        threshold,
        precision=hits / named if named else 0.0,
        recall=hits / true if true else 0.0,
        f1=2 * hits / (named + true) if named + true else 0.0,
        flagged=named / float(weights.sum()),
    )


def best_by_f1(probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: Weights) -> float | None:
    """The threshold of the highest F1 on these rows; None if none of them is of the second class.

    It lies halfway between two probabilities (rows, 2) that occur, so that rounding does not matter.
    """
    scores, positive = probabilities[:, 1].astype(np.float64), labels == 1
    weights = np.ones(len(scores)) if weights is None else weights
    distinct, index = np.unique(scores, return_inverse=True)
    named = np.cumsum(np.bincount(index, weights)[::-1])[::-1]  # weight at or above each probability
    hits = np.cumsum(np.bincount(index, weights * positive)[::-1])[::-1]
    true = float(hits[0]) if len(hits) else 0.0
    if not true:
        return None
    best = int((2 * hits / (named + true)).argmax())
    below = distinct[best - 1] if best else 0.0
    return float((below + distinct[best]) / 2)
