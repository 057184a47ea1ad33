"""How a version did beside the one before it, on the same rows. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compared:
    """Scores of two versions on the same test rows, in fp32."""

    version: int
    """The older version."""
    rows: int
    """Number of test rows that both answered."""
    seen_rows: int | None
    """How many of them the older version was trained on, which favours it; null if that is not known."""
    old: Mapping[str, float]
    """The older version's scores."""
    new: Mapping[str, float]
    """This version's scores."""
    worse: tuple[str, ...]
    """Where this version was worse than the tolerance allows. It was then published on request."""

    @property
    def is_consistent(self) -> bool:
        """Whether the figures are possible."""
        counts = self.version > 0 and self.rows > 0 and (self.seen_rows is None or 0 <= self.seen_rows <= self.rows)
        finite = all(map(math.isfinite, (*self.old.values(), *self.new.values())))
        return counts and finite and self.old.keys() == self.new.keys()
