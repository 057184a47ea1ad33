"""Early stopping: when to stop training, and the weights of the best epoch."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch import nn


class EarlyStopping:
    """Counts the epochs in a row whose score, higher being better, is not ``tolerance`` above the ``best``.

    Training should stop after more than ``patience`` of them. With ``keep_best`` it holds a copy of the weights of the
    best epoch, at first the weights that ``body`` starts with.
    """

    def __init__(
        self,
        body: nn.Module,
        patience: float,
        *,
        tolerance: float = 0.0,
        best: float = -math.inf,
        no_improvement_count: int = 0,
        keep_best: bool,
    ) -> None:
        self._body = body
        self._patience = patience
        self._tolerance = tolerance
        self._weights: dict[str, Any] | None = copy.deepcopy(body.state_dict()) if keep_best else None
        self.best = best
        self.no_improvement_count = no_improvement_count

    def update(self, score: float) -> None:
        """Take note of the ``score`` of an epoch."""
        self.no_improvement_count = self.no_improvement_count + 1 if score < self.best + self._tolerance else 0
        if score > self.best:
            self.best = score
            if self._weights is not None:
                self._weights = copy.deepcopy(self._body.state_dict())

    @property
    def should_stop(self) -> bool:
        """Whether more than ``patience`` epochs in a row were no better."""
        return self.no_improvement_count > self._patience

    def state(self) -> dict[str, Any]:
        """What `load` goes on from."""
        return {"best": self.best, "no_improvement_count": self.no_improvement_count, "weights": self._weights}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.best, self.no_improvement_count = state["best"], state["no_improvement_count"]
        self._weights = state["weights"]

    def restore_best(self) -> None:
        """Load the weights of the best epoch, if they were kept."""
        if self._weights is not None:
            self._body.load_state_dict(self._weights)
