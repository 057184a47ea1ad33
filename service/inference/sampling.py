"""Picks rows at random, so that counting them costs the same at any load."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_INTERVAL_S: Final = 1.0
# How many seconds' worth of rows may be picked within one interval before the chance is adapted early.
_BURST_S: Final = 4.0


class RowSampler:
    """Picks about ``max_rows_s`` rows a second at most: all rows at low load, and independently each by chance at high.

    A picked row counts ``weight`` rows: 1 over the chance with which it was picked. So weighted counts are unbiased,
    whatever the load was (Horvitz and Thompson, 1952, https://doi.org/10.1080/01621459.1952.10483446). The chance is
    adapted every second to the rate of the rows, never to their values. ``random`` gives numbers from 0 to below 1.
    """

    def __init__(self, max_rows_s: float, random: Callable[[], float]) -> None:
        self.weight = 1.0
        self._max_rows_s = max_rows_s
        self._random = random
        self._skip = 0
        self._rate = 0.0
        self._began_s = -math.inf
        self._ends_s = -math.inf
        self._seen = self._picked = 0

    def pick(self, count: int, now_s: float) -> list[int] | slice | None:
        """Indices of those to count among the next ``count`` rows; None for none of them."""
        if now_s >= self._ends_s or self._picked >= _BURST_S * self._max_rows_s:
            self._adapt(now_s)
        self._seen += count
        if self.weight == 1.0:
            self._picked += count
            return slice(None)
        if self._skip >= count:
            self._skip -= count
            return None
        picked, index = [], self._skip
        while index < count:
            picked.append(index)
            index += 1 + self._gap()
        self._skip = index - count
        self._picked += len(picked)
        return picked

    def _adapt(self, now_s: float) -> None:
        elapsed_s = max(now_s - self._began_s, 1e-6)
        # The last second's rate, or an earlier one that fades: bursts follow each other.
        self._rate = max(self._seen / elapsed_s, self._rate * 0.5 ** (elapsed_s / _INTERVAL_S))
        self.weight = max(self._rate / self._max_rows_s, 1.0)
        self._skip = self._gap()  # geometric gaps have no memory
        self._began_s, self._ends_s = now_s, now_s + _INTERVAL_S
        self._seen = self._picked = 0

    def _gap(self) -> int:
        """How many rows to skip before the next: geometric, with mean ``weight`` - 1."""
        if self.weight == 1.0:
            return 0
        return int(math.log(1.0 - self._random()) / math.log1p(-1.0 / self.weight))


def effective_rows(weights: float, squares: float) -> float:
    """How many rows of equal weight tell as much, by the sums of the weights and of their squares.

    Kish, Survey Sampling, 1965. Rows of equal weight count one each.
    """
    return weights * weights / squares if squares else 0.0
