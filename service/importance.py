"""How much a version's score depends on each feature: permutation importance, as the manifest has it.

Training measures it, and people read it. It is not the order of the features in `service.reference`, which is by how
far the answers move. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Metric = Literal["log_loss", "mae", "r2"]


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """How much worse the score becomes when the values of a feature are shuffled among the rows."""

    name: str
    mean: float
    """Over the repeats: how much the log-loss or the mean absolute error grows, or R² falls. Near 0 for a feature that
    does not matter; chance may make it negative."""
    std: float
    """The standard deviation over the repeats."""


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of features on test rows."""

    metric: Metric
    """``log_loss`` for classes, ``mae`` in the target's unit for one number, ``r2`` for several numbers."""
    score: float
    """The metric on these rows as they are."""
    rows: int
    """How many test rows were used."""
    repeats: int
    """How often each feature was shuffled."""
    features: tuple[FeatureImportance, ...]
    """The most important first: all features, or 50 of more."""

    def is_consistent(self, names: Collection[str]) -> bool:
        """Whether this can be the importance of a model with features of these ``names``."""
        own = [each.name for each in self.features]
        figures = (self.score, *(value for each in self.features for value in (each.mean, each.std)))
        return (
            type(self.rows) is int
            and type(self.repeats) is int
            and min(self.rows, self.repeats) > 0
            and all(map(math.isfinite, figures))
            and all(each.std >= 0 for each in self.features)
            and 0 < len(own) == len(set(own))
            and set(own) <= set(names)
        )
