"""L-BFGS over all rows at once, for few of them: scipy's, with torch's gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor, nn

from training import gradient
from training.loop import Rows
from training.objective import Loss

_CHUNK_ROWS: Final = 8192


def minimise(
    body: nn.Sequential,
    rows: Rows,
    loss: Loss,
    *,
    l2: float,
    gradient_tolerance: float,
    max_iterations: int,
    max_evaluations: int,
    ended: Callable[[int, float], bool],
) -> OptimizeResult:
    """Train ``body`` in place; scipy's result, with its number of iterations and its message.

    ``l2`` / 2 / (sum of the rows' weights) times the squared weights is added to the mean loss. ``ended`` is told of
    each iteration's number and loss, with the weights in place, and may stop it.
    """
    problem = _Problem(body, rows, loss, l2)
    number = 0

    def iterated(intermediate_result: OptimizeResult) -> None:
        nonlocal number
        number += 1
        problem.set(intermediate_result.x)
        if ended(number, float(intermediate_result.fun)):
            raise StopIteration

    result = minimize(
        problem,
        problem.start(),
        method="L-BFGS-B",
        jac=True,
        callback=iterated,
        options={"gtol": gradient_tolerance, "maxiter": max_iterations, "maxfun": max_evaluations},
    )
    problem.set(result.x)
    return result


class _Problem:
    """Loss and gradient, float64, of all parameters in one vector."""

    def __init__(self, body: nn.Sequential, rows: Rows, loss: Loss, l2: float) -> None:
        self._parameters = list(body.parameters())
        self._gradient = gradient.of(body, loss)
        self._rows = rows
        self._total = float(len(rows.inputs) if rows.weights is None else rows.weights.sum())
        decays = [torch.full_like(each, l2 / self._total if each.ndim > 1 else 0.0) for each in self._parameters]
        self._decay = _vector(decays)

    def start(self) -> NDArray[np.float64]:
        """The parameters as they are."""
        return _vector(self._parameters)

    @torch.no_grad()
    def set(self, vector: NDArray[np.float64]) -> None:
        """Put ``vector`` into the network."""
        parts = torch.split(torch.from_numpy(vector), [each.numel() for each in self._parameters])
        for parameter, part in zip(self._parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))

    def __call__(self, vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        self.set(vector)
        value = float((self._decay * vector**2).sum()) / 2
        slope = self._decay * vector
        rows = torch.arange(len(self._rows.inputs), device=self._rows.inputs.device)
        for index in torch.split(rows, _CHUNK_ROWS):
            inputs, targets, weights = self._rows.take(index)
            share = float(len(index) if weights is None else weights.sum()) / self._total
            value += share * float(self._gradient(inputs, targets, weights))
            slope += share * _vector([_gradient_of(each) for each in self._parameters])
        return value, slope


def _gradient_of(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None  # noqa: S101 - it was computed
    return parameter.grad


def _vector(tensors: Any) -> NDArray[np.float64]:
    vector: NDArray[np.float64] = torch.cat([each.detach().flatten() for each in tensors]).double().cpu().numpy()
    return vector
