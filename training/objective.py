"""What training makes small, and what tells how good the network is: one pair for each kind of target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Objective:
    """``loss`` is trained on; ``validation_loss`` and ``score`` (higher is better) judge. All map outputs float32
    (rows, outputs) and targets to a scalar; targets are int64 (rows,) classes or float32 (rows, targets)."""

    loss: Callable[[Tensor, Tensor], Tensor]
    validation_loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]
    score_name: str


def classification(label_smoothing: float) -> Objective:
    """Cross-entropy of logits, which holds the softmax; accuracy as the score."""
    return Objective(
        lambda logits, labels: functional.cross_entropy(logits, labels, label_smoothing=label_smoothing),
        functional.cross_entropy,
        lambda logits, labels: (logits.argmax(dim=1) == labels).float().mean(),
        "accuracy",
    )


def regression() -> Objective:
    """Mean squared error; R² as the score, the mean over the targets."""
    return Objective(functional.mse_loss, functional.mse_loss, _r2, "R²")


def _r2(values: Tensor, targets: Tensor) -> Tensor:
    residual = (targets - values).square().sum(dim=0)
    total = (targets - targets.mean(dim=0)).square().sum(dim=0)
    return (1 - residual / total).mean()
