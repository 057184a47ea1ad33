"""The median of repeated measurements and its 95 % bootstrap interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

_SAMPLES: Final = 2000
_QUANTILES: Final = (0.025, 0.975)


class Interval(NamedTuple):
    """A median, and the bounds of its 95 % interval."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """The width of the interval as a share of the median."""
        return (self.high - self.low) / abs(self.median)


def of(values: Sequence[float]) -> Interval:
    """The median of ``values``, with an interval by 2,000 bootstrap samples; the same at each call."""
    array = np.array(values)
    samples = np.random.default_rng(0).choice(array, (_SAMPLES, len(array)))
    low, high = np.quantile(np.median(samples, axis=1), _QUANTILES, method="nearest")
    return Interval(float(np.median(array)), float(low), float(high))


def of_ratios(pairs: Sequence[tuple[float, float]]) -> Interval:
    """The median over the pairs of the ratio of the second value to the first, which is infinite if that is 0."""
    return of([second / first if first else math.inf for first, second in pairs])
