"""Stochastic gradient descent and Adam as scikit-learn means them, on torch's fused optimizers.

https://scikit-learn.org/stable/modules/neural_networks_supervised.html#algorithms
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

from training.parameters import Parameters

_SMALLEST_RATE: Final = 1e-6  # an adaptive rate is not lowered from below it
_LOWER: Final = 5.0


class Solver:
    """An ``optimizer`` that knows what to do at the end of a step, of an epoch, and when nothing gets better."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def before_step(self) -> None:
        """The gradient is there; the weights are about to move."""

    def epoch_ended(self, rows: int) -> None:
        """An epoch ended, the last of ``rows`` ever seen."""

    def stalled(self) -> str | None:
        """Nothing got better for long: what is done about it, or None where it is time to stop."""
        return None


class Adam(Solver):
    """https://arxiv.org/abs/1412.6980, with epsilon added before the bias of the moments is corrected."""

    def __init__(self, body: nn.Module, chosen: Parameters) -> None:
        super().__init__(
            torch.optim.Adam(
                body.parameters(), lr=chosen.learning_rate_init, betas=(chosen.beta_1, chosen.beta_2), fused=True
            )
        )
        self._beta_2 = chosen.beta_2
        self._epsilon = chosen.epsilon
        self._steps = 0

    def before_step(self) -> None:
        """Torch adds epsilon after the correction: give it the number that comes to the same."""
        self._steps += 1
        self.optimizer.param_groups[0]["eps"] = self._epsilon / math.sqrt(1 - self._beta_2**self._steps)


class SGD(Solver):
    """With momentum; the rate is constant, falls with the rows seen, or is lowered each time nothing gets better."""

    def __init__(self, body: nn.Module, chosen: Parameters) -> None:
        super().__init__(
            torch.optim.SGD(
                body.parameters(),
                lr=chosen.learning_rate_init,
                momentum=chosen.momentum,
                nesterov=chosen.nesterovs_momentum and chosen.momentum > 0,
                fused=True,
            )
        )
        self._rule = chosen.learning_rate
        self._first_rate = chosen.learning_rate_init
        self._power = chosen.power_t

    def epoch_ended(self, rows: int) -> None:
        """Lower the rate where it falls with the rows seen."""
        if self._rule == "invscaling":
            self._set(self._first_rate / (rows + 1) ** self._power)

    def stalled(self) -> str | None:
        """Lower an adaptive rate, down to a certain point."""
        if self._rule != "adaptive" or self.learning_rate <= _SMALLEST_RATE:
            return None
        self._set(self.learning_rate / _LOWER)
        return f"the learning rate is now {self.learning_rate:g}"

    def _set(self, rate: float) -> None:
        """Momentum is kept in units of the weights: torch's, in units of the gradient, is scaled to what it was."""
        scale = self.learning_rate / rate
        self.optimizer.param_groups[0]["lr"] = rate
        for state in self.optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"].mul_(scale)


def of(body: nn.Module, chosen: Parameters) -> Solver:
    """The solver that was chosen, for the parameters of ``body``."""
    return Adam(body, chosen) if chosen.solver == "adam" else SGD(body, chosen)
