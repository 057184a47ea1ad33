"""L-BFGS on all rows at once, for small data sets: scipy's optimizer with torch's gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from training.engine.flat_parameters import FlatParameters
from training.engine.gradient import Gradient
from training.engine.loop import Rows

_CHUNK_ROWS: Final = 8192


def minimise(
    flat: FlatParameters,
    rows: Rows,
    gradient: Gradient,
    *,
    l2: float,
    gradient_tolerance: float,
    max_iterations: int,
    max_evaluations: int,
    on_iteration: Callable[[int, float], bool],
) -> OptimizeResult:
    """Train in place; return scipy's result, with its number of iterations and its message.

    ``l2`` / 2 / (sum of the row weights) times the squared weights is added to the mean loss. After each iteration,
    with its parameters in place, ``on_iteration`` gets its number and its loss; it stops training by returning True.
    """
    total = float(len(rows.inputs) if rows.weights is None else rows.weights.sum())
    chunks = torch.split(torch.arange(len(rows.inputs), device=rows.inputs.device), _CHUNK_ROWS)
    number = 0

    def load(vector: NDArray[np.float64]) -> None:
        flat.values.copy_(torch.from_numpy(vector))

    def value_and_grad(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        load(vector)
        matrices = vector[: flat.matrices]
        value = l2 / 2 / total * float(matrices @ matrices)
        grad = np.zeros_like(vector)
        grad[: flat.matrices] = l2 / total * matrices
        for chunk in chunks:
            inputs, targets, weights = rows.take(chunk)
            share = float(len(chunk) if weights is None else weights.sum()) / total
            value += share * float(gradient(inputs, targets, weights))
            grad += share * flat.gradients.double().cpu().numpy()
        return value, grad

    def callback(intermediate_result: OptimizeResult) -> None:
        nonlocal number
        number += 1
        load(intermediate_result.x)
        if on_iteration(number, float(intermediate_result.fun)):
            raise StopIteration

    result = minimize(
        value_and_grad,
        flat.values.double().cpu().numpy(),
        method="L-BFGS-B",
        jac=True,
        callback=callback,
        options={"gtol": gradient_tolerance, "maxiter": max_iterations, "maxfun": max_evaluations},
    )
    load(result.x)
    return result
