"""The state of training between two epochs, as tensors and numbers, and going on from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from torch import nn

from training.engine.early_stopping import EarlyStopping
from training.engine.optimizer import ScheduledOptimizer
from training.engine.weight_average import WeightAverage
from training.engine.workers import State


class Progress:
    """How far a run is: the network, its optimizer, early stopping, and the average of its weights."""

    def __init__(
        self,
        body: nn.Module,
        optimizer: ScheduledOptimizer,
        early_stopping: EarlyStopping,
        average: WeightAverage,
    ) -> None:
        self._body = body
        self._optimizer = optimizer
        self._early_stopping = early_stopping
        self._average = average

    def state(self, history: Sequence[Any]) -> State:
        """The state after the last epoch of ``history``. Its tensors are those that training goes on to change."""
        return {
            "network": self._body.state_dict(),
            "optimizer": self._optimizer.state(),
            "early_stopping": self._early_stopping.state(),
            "average": self._average.state(),
            "history": [astuple(epoch) for epoch in history],
        }

    def resume(self, state: State | None) -> list[Sequence[Any]]:
        """Go on from ``state``, and return the fields of the epochs of its history; None is the start."""
        if state is None:
            return []
        self._body.load_state_dict(state["network"])
        self._optimizer.load(state["optimizer"])
        self._early_stopping.load(state["early_stopping"])
        self._average.load(state["average"])
        history: list[Sequence[Any]] = state["history"]
        return history
