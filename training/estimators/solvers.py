"""Stochastic gradient descent and Adam as scikit-learn means them: epsilon, momentum and learning rates.

https://scikit-learn.org/stable/modules/neural_networks_supervised.html#algorithms
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch.optim.adam import adam

from training.engine.flat_parameters import FlatParameters
from training.estimators.parameters import Parameters

_SMALLEST_RATE: Final = 1e-6  # an adaptive rate is not lowered from below it
_LOWER: Final = 5.0


class Solver:
    """Moves the parameters by their gradients, and knows what to do at the end of an epoch and when it stalls."""

    def __init__(self, chosen: Parameters) -> None:
        self.learning_rate = float(chosen.learning_rate_init)

    def step(self, flat: FlatParameters) -> None:
        """Move ``flat.values`` once."""
        raise NotImplementedError

    def epoch_ended(self, rows: int) -> None:
        """An epoch ended, the last of ``rows`` ever seen."""

    def stalled(self) -> bool:
        """Nothing got better for long: whether something was done about it, else it is time to stop."""
        return False


class Adam(Solver):
    """https://arxiv.org/abs/1412.6980, with epsilon added before the bias of the moments is corrected."""

    def __init__(self, flat: FlatParameters, chosen: Parameters) -> None:
        super().__init__(chosen)
        self._betas = chosen.beta_1, chosen.beta_2
        self._epsilon = chosen.epsilon
        self._means = torch.zeros_like(flat.values)
        self._squares = torch.zeros_like(flat.values)
        self._count = torch.zeros((), device=flat.values.device)
        self._steps = 0

    def step(self, flat: FlatParameters) -> None:
        """Torch adds epsilon after the correction: it is given the number that comes to the same."""
        self._steps += 1
        adam(
            [flat.values],
            [flat.gradients],
            [self._means],
            [self._squares],
            [],
            [self._count],
            fused=True,
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=self._epsilon / math.sqrt(1 - self._betas[1] ** self._steps),
            maximize=False,
        )


class SGD(Solver):
    """With momentum; the rate is constant, falls with the rows seen, or is lowered each time nothing gets better."""

    def __init__(self, flat: FlatParameters, chosen: Parameters) -> None:
        super().__init__(chosen)
        self._rule = chosen.learning_rate
        self._first_rate = self.learning_rate
        self._power = chosen.power_t
        self._momentum = chosen.momentum
        self._nesterov = chosen.nesterovs_momentum
        self._velocity = torch.zeros_like(flat.values)

    def step(self, flat: FlatParameters) -> None:
        """Nesterov's way looks one step of the velocity ahead."""
        self._velocity.mul_(self._momentum).sub_(flat.gradients, alpha=self.learning_rate)
        if self._nesterov:
            flat.values.add_(self._velocity, alpha=self._momentum).sub_(flat.gradients, alpha=self.learning_rate)
        else:
            flat.values.add_(self._velocity)

    def epoch_ended(self, rows: int) -> None:
        """Lower the rate where it falls with the rows seen."""
        if self._rule == "invscaling":
            self.learning_rate = self._first_rate / (rows + 1) ** self._power

    def stalled(self) -> bool:
        """Lower an adaptive rate, down to a certain point."""
        if self._rule != "adaptive" or self.learning_rate <= _SMALLEST_RATE:
            return False
        self.learning_rate /= _LOWER
        return True


def of(flat: FlatParameters, chosen: Parameters) -> Solver:
    """The solver that was chosen, at its beginning."""
    return Adam(flat, chosen) if chosen.solver == "adam" else SGD(flat, chosen)
