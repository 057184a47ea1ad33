"""Reference statistics of a version: how its training rows and its predictions were distributed.

Training counts by these rules, and the service counts served rows by them, to see whether the data drifts. Standard
library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# A manifest has the distributions of this many features at most.
MAX_FEATURES: Final = 50
# Bins of a histogram: deciles, fewer if there are few rows, and one more for a column of a single value.
MAX_BINS: Final = 10
# Rows that a bin has on average, at least: fewer would make the histogram itself a matter of chance.
BIN_ROWS: Final = 20
# The name under which all pixels of an image are one feature.
PIXELS: Final = "pixels"


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often the values of a feature, or of a prediction, fell into each bin."""

    name: str
    """The feature or target; ``pixels`` for all pixels of an image."""
    counts: tuple[int, ...]
    """Values in each bin. Without ``edges``, those of each code: false and true, or the categories and others."""
    edges: tuple[float, ...] = ()
    """The inner edges of the bins, ascending. A value is in the bin whose index is the number of edges up to it."""
    missing: int = 0
    """Rows without a value."""

    def is_consistent(self, codes: int) -> bool:
        """Whether the counts and edges are possible for a feature with this many ``codes``, 0 if it is numeric."""
        counts_fit = all(type(each) is int and each >= 0 for each in (*self.counts, self.missing))
        edges_fit = all(map(math.isfinite, self.edges)) and all(low < high for low, high in pairwise(self.edges))
        bins = codes or len(self.edges) + 1
        return (
            counts_fit
            and edges_fit
            and sum(self.counts) > 0
            and len(self.counts) == bins
            and bool(codes) != bool(self.edges)
            and (codes > 0 or bins <= MAX_BINS)
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """The distributions that served rows are compared with."""

    rows: int
    """Number of training rows."""
    features: tuple[Distribution, ...]
    """Over the training rows, the most important feature first: all features, or 50 of more."""
    prediction_rows: int
    """Number of test rows."""
    predictions: tuple[Distribution, ...]
    """Over the predictions for the test rows: one for each target."""

    def is_consistent(self, codes: dict[str, int], targets: Sequence[str], classes: int) -> bool:
        """Whether this can be the reference of a model.

        ``codes`` maps each feature to its number of codes, 0 if it is numeric. ``classes`` is 0 for a regression.
        """
        names = [each.name for each in self.features]
        return (
            type(self.rows) is int
            and type(self.prediction_rows) is int
            and min(self.rows, self.prediction_rows) > 0
            and 0 < len(names) == len(set(names)) <= MAX_FEATURES
            and all(each.name in codes and each.is_consistent(codes[each.name]) for each in self.features)
            and [each.name for each in self.predictions] == [*targets]
            and all(each.is_consistent(classes) for each in self.predictions)
        )
