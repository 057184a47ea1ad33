"""L-BFGS finds the exact solution of a linear least-squares problem, and stops when the callback asks for it."""

from __future__ import annotations

import torch
from scipy.optimize import OptimizeResult
from torch import nn

from training.engine import gradient, lbfgs
from training.engine.flat_parameters import FlatParameters
from training.engine.loop import Rows
from training.engine.losses import LOSSES

ROWS = 10_000  # more than one chunk


def minimise(body: nn.Sequential, rows: Rows, *, l2: float = 0.0, stop_after: int = 1000) -> OptimizeResult:
    flat = FlatParameters(body)
    return lbfgs.minimise(
        flat,
        rows,
        gradient.of(body, flat, LOSSES["numbers"]["squared_error"]),
        l2=l2,
        gradient_tolerance=1e-9,
        max_iterations=1000,
        max_evaluations=1000,
        on_iteration=lambda number, _loss: number >= stop_after,
    )


def problem() -> tuple[nn.Sequential, Rows]:
    random = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(ROWS, width, generator=random, dtype=torch.float64) for width in (4, 2))
    weights = torch.rand(ROWS, generator=random, dtype=torch.float64)
    return nn.Sequential(nn.Linear(4, 2, dtype=torch.float64)), Rows(inputs, targets, weights)


def test_it_solves_weighted_ridge_regression() -> None:
    body, rows = problem()
    l2 = 50.0
    minimise(body, rows, l2=l2)
    assert isinstance(rows.inputs, torch.Tensor)
    assert rows.weights is not None
    extended = torch.cat([rows.inputs, torch.ones(ROWS, 1, dtype=torch.float64)], dim=1)
    weighted = extended * rows.weights[:, None]
    penalty = torch.diag(torch.tensor([l2] * 4 + [0.0], dtype=torch.float64))
    solution = torch.linalg.solve(weighted.T @ extended + penalty, weighted.T @ rows.targets)
    found = torch.cat([parameter.detach().view(2, -1) for parameter in body.parameters()], dim=1)
    torch.testing.assert_close(found, solution.T, rtol=0, atol=1e-6)


def test_it_stops_after_the_iteration_that_asks_for_it() -> None:
    body, rows = problem()
    assert minimise(body, rows, stop_after=2).nit == 2
