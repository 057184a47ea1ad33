"""L-BFGS, Adam and stochastic gradient descent as scikit-learn defines them, behind one interface.

https://scikit-learn.org/stable/modules/neural_networks_supervised.html#algorithms
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from training.engine import gradient, lbfgs, loop, schedule, subnormal
from training.engine.flat_parameters import FlatParameters
from training.engine.loop import Rows
from training.engine.losses import Loss
from training.estimators.parameters import Parameters

_LOWEST_ADAPTIVE_RATE: Final = 1e-6
_ADAPTIVE_FACTOR: Final = 5.0

# Called with the number of an epoch or iteration, from 1, and its mean loss; training stops if it returns True.
OnEpoch = Callable[[int, float], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """Minimise the mean ``loss`` of ``body``, whose weights are in ``flat``, on ``rows``."""

    body: nn.Sequential
    flat: FlatParameters
    rows: Rows
    loss: Loss
    parameters: Parameters
    batch_rows: int
    max_epochs: int
    random: np.random.RandomState


class Outcome(NamedTuple):
    """How a run ended; ``failure`` is the reason if it neither converged nor was stopped by ``on_epoch``."""

    epochs: int
    loss: float
    failure: str = ""


class Solver(ABC):
    """Minimises a `Problem`. Its learning rate and moments last until the next `partial_fit`."""

    learning_rate: float = math.nan

    @abstractmethod
    def run(self, problem: Problem, on_epoch: OnEpoch) -> Outcome:
        """Train in place until convergence, the last epoch, or until ``on_epoch`` returns True."""

    def end_epoch(self, rows_seen: int) -> None:  # noqa: B027 - most rates are constant
        """Update the learning rate after an epoch; ``rows_seen`` counts all rows since the first."""

    def lower_rate(self) -> bool:
        """Lower the learning rate because training no longer improves; return False if it should stop instead."""
        return False


class LBFGS(Solver):
    """Scipy's L-BFGS-B, over all rows at once."""

    def run(self, problem: Problem, on_epoch: OnEpoch) -> Outcome:
        """Train in place until convergence, the last epoch, or until ``on_epoch`` returns True."""
        stopped = False

        def on_iteration(number: int, loss: float) -> bool:
            nonlocal stopped
            stopped = on_epoch(number, loss)
            return stopped

        parameters = problem.parameters
        result = lbfgs.minimise(
            problem.flat,
            problem.rows,
            gradient.of(problem.body, problem.flat, problem.loss),
            l2=parameters.alpha,
            gradient_tolerance=parameters.tol,
            max_iterations=problem.max_epochs,
            max_evaluations=parameters.max_fun,
            on_iteration=on_iteration,
        )
        iterations = min(result.nit, problem.max_epochs)
        failure = (
            f"lbfgs did not converge after {iterations} iterations (max_iter={problem.max_epochs}, max_fun="
            f"{parameters.max_fun}): {result.message}. Raise the limits, or scale the features."
        )
        return Outcome(iterations, float(result.fun), failure if result.status and not stopped else "")


class StochasticSolver(Solver):
    """Takes one step per mini-batch; subclasses define the step."""

    def __init__(self, parameters: Parameters) -> None:
        self.learning_rate = float(parameters.learning_rate_init)

    @abstractmethod
    def step(self, flat: FlatParameters) -> None:
        """Update ``flat.values`` from ``flat.gradients``."""

    def run(self, problem: Problem, on_epoch: OnEpoch) -> Outcome:
        """Train in place until convergence, the last epoch, or until ``on_epoch`` returns True."""
        parameters, flat = problem.parameters, problem.flat
        take_gradient = gradient.of(
            problem.body, flat, problem.loss, l2=parameters.alpha, half=parameters.mixed_precision
        )
        step = self._scheduled(problem) if parameters.schedule else partial(self.step, flat)
        with subnormal.flushed():
            for number, batches in enumerate(_epochs(problem), 1):
                loss = loop.train_epoch(map(problem.rows.take, batches), take_gradient, step)
                if on_epoch(number, loss):
                    return Outcome(number, loss)
        if parameters.schedule:  # which ends there
            return Outcome(number, loss)
        failure = f"{parameters.solver} did not converge after {number} epochs (max_iter); raise max_iter."
        return Outcome(number, loss, failure)

    def _scheduled(self, problem: Problem) -> Callable[[], None]:
        """`step` with the rate of the schedule."""
        parameters, rows = problem.parameters, len(problem.rows.inputs)
        steps = problem.max_epochs * math.ceil(rows / problem.batch_rows)
        rate_of = schedule.BY_NAME[parameters.schedule or ""](parameters.learning_rate_init, steps)
        numbers = itertools.count()

        def step() -> None:
            self.learning_rate = rate_of(next(numbers))
            self.step(problem.flat)

        return step


def _epochs(problem: Problem) -> Iterator[Iterable[Tensor]]:
    """Yield for each epoch the row indices int64 (batch rows,) of its batches, shuffled as scikit-learn does."""
    rows, device = len(problem.rows.inputs), problem.flat.values.device
    order = np.arange(rows)
    for _ in range(problem.max_epochs):
        if problem.parameters.shuffle:
            shuffled = np.arange(rows)
            problem.random.shuffle(shuffled)
            order = order[shuffled]
        index = torch.from_numpy(order).to(device)
        if problem.parameters.batch_norm:  # equal batches: batch norm fails on a single row left over
            yield index.tensor_split(math.ceil(rows / problem.batch_rows))
        else:
            yield torch.split(index, problem.batch_rows)


class Adam(StochasticSolver):
    """https://arxiv.org/abs/1412.6980, with epsilon added before the bias correction of the moments."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._betas = parameters.beta_1, parameters.beta_2
        self._epsilon = parameters.epsilon
        self._state: tuple[Tensor, Tensor, Tensor] | None = None  # first moments, second moments, torch's step count
        self._steps = 0

    def step(self, flat: FlatParameters) -> None:
        """Update ``flat.values``; torch adds epsilon after the bias correction, so it gets the equivalent value."""
        if self._state is None:
            count = torch.zeros((), device=flat.values.device)
            self._state = torch.zeros_like(flat.values), torch.zeros_like(flat.values), count
        first_moments, second_moments, count = self._state
        self._steps += 1
        adam(
            [flat.values],
            [flat.gradients],
            [first_moments],
            [second_moments],
            [],
            [count],
            fused=True,
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=self._epsilon / math.sqrt(1 - self._betas[1] ** self._steps),
            maximize=False,
        )


class SGD(StochasticSolver):
    """Stochastic gradient descent with momentum and three learning rate schedules."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self._schedule = parameters.learning_rate
        self._initial_rate = self.learning_rate
        self._power = parameters.power_t
        self._momentum = parameters.momentum
        self._nesterov = parameters.nesterovs_momentum
        self._velocity: Tensor | None = None

    def step(self, flat: FlatParameters) -> None:
        """Update ``flat.values``; Nesterov's momentum applies the velocity once more."""
        if self._velocity is None:
            self._velocity = torch.zeros_like(flat.values)
        self._velocity.mul_(self._momentum).sub_(flat.gradients, alpha=self.learning_rate)
        if self._nesterov:
            flat.values.add_(self._velocity, alpha=self._momentum).sub_(flat.gradients, alpha=self.learning_rate)
        else:
            flat.values.add_(self._velocity)

    def end_epoch(self, rows_seen: int) -> None:
        """Lower the rate of the schedule ``'invscaling'``."""
        if self._schedule == "invscaling":
            self.learning_rate = self._initial_rate / (rows_seen + 1) ** self._power

    def lower_rate(self) -> bool:
        """Lower the rate of the schedule ``'adaptive'``; return False at its lower limit, and for other schedules."""
        if self._schedule != "adaptive" or self.learning_rate <= _LOWEST_ADAPTIVE_RATE:
            return False
        self.learning_rate /= _ADAPTIVE_FACTOR
        return True


def create(parameters: Parameters) -> Solver:
    """Create the solver that ``parameters.solver`` names."""
    if parameters.solver == "lbfgs":
        return LBFGS()
    return Adam(parameters) if parameters.solver == "adam" else SGD(parameters)
