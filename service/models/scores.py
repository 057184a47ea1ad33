"""Scores of two models on the same rows, added up batch by batch, with bootstrap intervals of their differences.

The definitions are those of the scores in the manifest, which training computes with scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Equal-width bins of the calibration error: https://doi.org/10.1609/aaai.v29i1.9602
BINS: Final = 15
REPLICATES: Final = 1000
CONFIDENCE: Final = 0.95
# Of these, a higher value is better; of the others a lower one.
HIGHER_IS_BETTER: Final = frozenset({"accuracy", "balanced_accuracy", "r2"})
_EPSILON: Final = float(np.finfo(np.float64).eps)  # as in scikit-learn's log_loss
_WEIGHT_ROWS: Final = 512
_EXACT_ROWS: Final = 1000

Sums = NDArray[np.float64]  # (columns,), or (replicates, columns)


@dataclass(frozen=True, slots=True)
class Score:
    """One score of both models, the difference (second - first) and its interval, None where there is none."""

    name: str
    first: float
    second: float
    interval: tuple[float, float] | None

    @property
    def difference(self) -> float:
        """How much higher the second model's score is."""
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """Whether the second model is better, worse, or neither for certain."""
        if self.interval is None or not (self.interval[0] > 0 or self.interval[1] < 0):
            return "unclear"
        return "better" if (self.interval[0] > 0) == (self.name in HIGHER_IS_BETTER) else "worse"


class _Bootstrap:
    """Sums of columns over all rows, and over resampled rows.

    In each replicate a row counts as often as a Poisson variable of mean 1 says, which needs one pass over the rows and
    no memory for them: Chamandy et al., Estimating Uncertainty for Massive Data Streams, 2012.
    """

    def __init__(self, columns: int, replicates: int, random: np.random.Generator) -> None:
        self.totals = np.zeros(columns)
        self.replicates = np.zeros((replicates, columns))
        self._random = random

    def add(self, values: NDArray[np.float64]) -> None:
        """Add rows of values (rows, columns)."""
        self.totals += values.sum(axis=0)
        for first in range(0, len(values), _WEIGHT_ROWS):
            part = values[first : first + _WEIGHT_ROWS]
            numbers = self._random.integers(0, 2**16, (len(self.replicates), len(part)), np.uint16)
            self.replicates += _POISSON[numbers] @ part


def _poisson() -> NDArray[np.float64]:
    """The Poisson variable of mean 1 for each of 2^16 equally likely numbers."""
    probabilities = [math.exp(-1) / math.factorial(count) for count in range(10)]
    bounds = np.round(np.cumsum(probabilities) * 2**16)
    return np.searchsorted(bounds, np.arange(2**16), side="right").astype(np.float64)


_POISSON: Final = _poisson()


class ClassificationScores:
    """Scores of probabilities against labels."""

    def __init__(self, classes: int, seed: int = 0, replicates: int = REPLICATES) -> None:
        self.rows = 0
        self._classes = classes
        self._sums = _Bootstrap(1 + 2 * (3 + BINS), replicates, np.random.default_rng(seed))
        self._class_rows = np.zeros(classes)
        self._class_right = np.zeros((2, classes))
        self._only_right = np.zeros(2, np.int64)
        self._agreed = 0
        self._change = _Change()

    def add(self, first: NDArray[np.float32], second: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Add rows: the probabilities of both models (rows, classes), and the indices of the labels (rows,)."""
        self.rows += len(labels)
        predicted = first.argmax(axis=1), second.argmax(axis=1)
        right = predicted[0] == labels, predicted[1] == labels
        columns = [np.ones((len(labels), 1))]
        for probabilities, correct in zip((first, second), right, strict=True):
            columns.append(self._columns(probabilities.astype(np.float64), labels, correct))
        self._sums.add(np.concatenate(columns, axis=1))
        self._class_rows += np.bincount(labels, minlength=self._classes)
        self._class_right += [np.bincount(labels, correct, minlength=self._classes) for correct in right]
        self._only_right += [(right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()]
        self._agreed += int((predicted[0] == predicted[1]).sum())
        self._change.add(first, second)

    def _columns(
        self, exact: NDArray[np.float64], labels: NDArray[np.int64], right: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """For each row: right, log-loss, Brier score, and confidence less right in the column of its bin."""
        rows = np.arange(len(labels))
        truth = exact[rows, labels]
        normalised = np.clip(truth / exact.sum(axis=1), _EPSILON, 1 - _EPSILON)
        brier = (exact**2).sum(axis=1) - truth**2 + (1 - truth) ** 2
        confidence = exact.max(axis=1)
        result = np.zeros((len(labels), 3 + BINS))
        result[:, 0] = right
        result[:, 1] = -np.log(normalised)
        result[:, 2] = brier / 2 if self._classes == 2 else brier
        result[rows, 3 + np.minimum((confidence * BINS).astype(np.int64), BINS - 1)] = confidence - right
        return result

    def scores(self) -> list[Score]:
        """The scores so far."""
        width = 3 + BINS
        starts = 1, 1 + width

        def mean(offset: int) -> Callable[[Sums, int], Any]:
            return lambda sums, start: sums[..., start + offset] / sums[..., 0]

        def ece(sums: Sums, start: int) -> Any:
            return np.abs(sums[..., start + 3 : start + width]).sum(axis=-1) / sums[..., 0]

        made = [
            _score(name, score, self._sums, starts)
            for name, score in (("accuracy", mean(0)), ("log_loss", mean(1)), ("brier", mean(2)), ("ece", ece))
        ]
        seen = self._class_rows > 0
        first, second = (self._class_right[:, seen] / self._class_rows[seen]).mean(axis=1).tolist()
        return [made[0], Score("balanced_accuracy", first, second, None), *made[1:]]

    def comparison(self) -> dict[str, Any]:
        """How the two differ from each other, whatever is true."""
        only_first, only_second = self._only_right.tolist()
        return {
            "agreement": self._agreed / self.rows,
            "mean_absolute_probability_change": self._change.mean,
            "max_probability_change": self._change.largest,
            "only_first_right": only_first,
            "only_second_right": only_second,
            "mcnemar_p": mcnemar(only_first, only_second),
        }


class RegressionScores:
    """Scores of numbers against targets; each is the mean over the targets."""

    def __init__(self, targets: int, seed: int = 0, replicates: int = REPLICATES) -> None:
        self.rows = 0
        self._targets = targets
        # The row, y and y² of each target, and |error| and error² of each target and model.
        self._sums = _Bootstrap(1 + 6 * targets, replicates, np.random.default_rng(seed))
        self._pivot: NDArray[np.float64] | None = None
        self._change = _Change()

    def add(self, first: NDArray[Any], second: NDArray[Any], targets: NDArray[np.float64]) -> None:
        """Add rows: the predictions of both models, and the targets, each (rows, targets)."""
        self.rows += len(targets)
        if self._pivot is None:  # sums of squares far from 0 would lose their digits
            self._pivot = np.quantile(targets, 0.5, axis=0, method="nearest")
        shifted = targets - self._pivot
        errors = [values.astype(np.float64) - targets for values in (first, second)]
        parts = [np.ones((len(targets), 1)), shifted, shifted**2]
        parts += [part for error in errors for part in (np.abs(error), error**2)]
        self._sums.add(np.concatenate(parts, axis=1))
        self._change.add(first.astype(np.float64), second.astype(np.float64))

    def scores(self) -> list[Score]:
        """The scores so far."""
        width = self._targets
        starts = 1 + 2 * width, 1 + 4 * width

        def mae(sums: Sums, start: int) -> Any:
            return (sums[..., start : start + width] / sums[..., :1]).mean(axis=-1)

        def squares(sums: Sums, start: int) -> Any:
            return sums[..., start + width : start + 2 * width]

        def rmse(sums: Sums, start: int) -> Any:
            return np.sqrt(squares(sums, start) / sums[..., :1]).mean(axis=-1)

        def r2(sums: Sums, start: int) -> Any:
            values, value_squares = sums[..., 1 : 1 + width], sums[..., 1 + width : 1 + 2 * width]
            spread = np.maximum(value_squares - values**2 / sums[..., :1], 0)
            left = squares(sums, start)
            # As in scikit-learn, targets that do not vary give 1 if they are met exactly, else 0.
            return np.where(spread > 0, 1 - left / np.where(spread > 0, spread, 1), left == 0).mean(axis=-1)

        return [_score(name, score, self._sums, starts) for name, score in (("mae", mae), ("rmse", rmse), ("r2", r2))]

    def comparison(self) -> dict[str, Any]:
        """How the two differ from each other, whatever is true."""
        return {"mean_absolute_change": self._change.mean, "max_change": self._change.largest}


class _Change:
    """The absolute differences between two arrays of outputs."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self.largest: float = 0.0

    def add(self, first: NDArray[Any], second: NDArray[Any]) -> None:
        change = np.abs(second.astype(np.float64) - first)
        self._sum += float(change.sum())
        self._count += change.size
        self.largest = max(self.largest, float(change.max()))

    @property
    def mean(self) -> float:
        return self._sum / self._count


def _score(name: str, score: Callable[[Sums, int], Any], sums: _Bootstrap, starts: tuple[int, int]) -> Score:
    """A score of both models, whose columns begin at ``starts``, with the interval of its difference."""
    first, second = (float(score(sums.totals, start)) for start in starts)
    drawn = sums.replicates[sums.replicates[:, 0] > 0]
    differences = score(drawn, starts[1]) - score(drawn, starts[0])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail]).tolist() if len(drawn) else (math.nan, math.nan)
    return Score(name, first, second, (low, high))


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of McNemar's test: rows that only one model has right are equally likely to be of either.

    Exact up to 1,000 such rows, else the normal approximation with continuity correction.
    https://doi.org/10.1007/BF02295996 (McNemar, 1947)
    """
    changed, fewer = only_first + only_second, min(only_first, only_second)
    if changed <= _EXACT_ROWS:
        ways = sum(math.comb(changed, each) for each in range(fewer + 1))
        return min(1.0, 2 * ways / (1 << changed))
    return math.erfc(max(abs(only_first - only_second) - 1, 0) / math.sqrt(2 * changed))
