"""How long a run goes on without getting better, and the weights of its best epoch."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch import nn


class Patience:
    """Counts the epochs in a row whose value, higher being better, is not ``tolerance`` above the ``best``.

    More of them than ``limit`` exhaust it. With ``keep`` it holds a copy of the weights of the best epoch, at first
    those that ``body`` starts with.
    """

    def __init__(
        self, body: nn.Module, limit: float, *, tolerance: float = 0.0, best: float = -math.inf, keep: bool
    ) -> None:
        self._body = body
        self._limit = limit
        self._tolerance = tolerance
        self._weights: dict[str, Any] | None = copy.deepcopy(body.state_dict()) if keep else None
        self.best = best
        self.waited = 0

    def saw(self, value: float) -> None:
        """An epoch ended with ``value``."""
        self.waited = self.waited + 1 if value < self.best + self._tolerance else 0
        if value > self.best:
            self.best = value
            if self._weights is not None:
                self._weights = copy.deepcopy(self._body.state_dict())

    @property
    def exhausted(self) -> bool:
        """Whether more than ``limit`` epochs in a row were no better."""
        return self.waited > self._limit

    def restore(self) -> None:
        """Give the network the weights of its best epoch."""
        if self._weights is not None:
            self._body.load_state_dict(self._weights)
