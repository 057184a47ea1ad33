"""What training makes small, and what tells how good the network is: one pair for each kind of target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: Final[dict[str, Loss]] = {
    "squared_error": functional.mse_loss,
    "absolute_error": functional.l1_loss,
    "huber": functional.huber_loss,
}


@dataclass(frozen=True, slots=True)
class Objective:
    """``loss`` is trained on; ``validation_loss`` and ``score`` (higher is better) judge. All map outputs float32
    (rows, outputs) and targets to a scalar; targets are int64 (rows,) classes or float32 (rows, targets)."""

    loss: Loss
    validation_loss: Loss
    score: Loss
    score_name: str


def classification(label_smoothing: float, weights: Tensor | None = None) -> Objective:
    """Cross-entropy of logits, which holds the softmax, each class counting by its weight (classes,); accuracy."""
    return Objective(
        lambda logits, labels: functional.cross_entropy(logits, labels, weights, label_smoothing=label_smoothing),
        lambda logits, labels: functional.cross_entropy(logits, labels, weights),
        lambda logits, labels: (logits.argmax(dim=1) == labels).float().mean(),
        "accuracy",
    )


def regression(loss: str = "squared_error") -> Objective:
    """One of `LOSSES`, of targets in standard deviations; R² as the score, the mean over the targets."""
    return Objective(LOSSES[loss], LOSSES[loss], _r2, "R²")


def _r2(values: Tensor, targets: Tensor) -> Tensor:
    residual = (targets - values).square().sum(dim=0)
    total = (targets - targets.mean(dim=0)).square().sum(dim=0)
    return (1 - residual / total).mean()
