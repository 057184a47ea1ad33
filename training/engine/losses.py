"""What training makes small, and what tells how good the network is: one for each kind of target.

A loss is given for each row, so that rows can have weights, and with its derivative, where there is a simple one, so
that a plain network can be trained without autograd. Outputs are float (rows, outputs); targets are int64 (rows,)
classes, or float (rows, outputs): 0 or 1 for labels that each hold or do not, numbers in regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

RowLosses = Callable[[Tensor, Tensor], Tensor]
FOCUS: Final = 2.0  # of the focal loss, as its authors recommend


@dataclass(frozen=True, slots=True)
class Loss:
    """``of`` outputs and targets is (rows,); ``slope`` its derivative by the outputs, (rows, outputs), or None."""

    of: RowLosses
    slope: RowLosses | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    """``loss`` is trained on; ``validation_loss`` (rows,) and ``score`` (a scalar, higher is better) judge."""

    loss: Loss
    validation_loss: RowLosses
    score: Callable[[Tensor, Tensor], Tensor]
    score_name: str


def classification(label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy of logits, which holds the softmax; accuracy as the score."""
    return Objective(
        cross_entropy(label_smoothing),
        cross_entropy().of,
        lambda logits, labels: (logits.argmax(dim=1) == labels).float().mean(),
        "accuracy",
    )


def taught() -> Objective:
    """As `classification`, but that the loss is of what a teacher says of each class, float (rows, outputs)."""
    return replace(classification(), loss=soft_cross_entropy())


def regression(loss: str = "squared_error") -> Objective:
    """One of `REGRESSION`; R² as the score, the mean over the targets."""
    return Objective(REGRESSION[loss], REGRESSION[loss].of, _r2, "R²")


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Of logits and classes; a share ``label_smoothing`` of each label is spread over all of them."""

    def of(logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    def slope(logits: Tensor, labels: Tensor) -> Tensor:
        probabilities = torch.softmax(logits, dim=1)
        if label_smoothing:
            probabilities -= label_smoothing / logits.shape[1]
        wanted = labels.unsqueeze(1)
        return probabilities.scatter_add_(1, wanted, logits.new_full((1, 1), label_smoothing - 1).expand_as(wanted))

    return Loss(of, slope)


def soft_cross_entropy() -> Loss:
    """Of logits and probabilities (rows, outputs)."""

    def of(logits: Tensor, probabilities: Tensor) -> Tensor:
        return functional.cross_entropy(logits, probabilities, reduction="none")

    return Loss(of, lambda logits, probabilities: torch.softmax(logits, dim=1) - probabilities)


def binary_cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Of one logit a label, each of which holds or does not; the sum over the labels."""

    def smooth(targets: Tensor) -> Tensor:
        return targets * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else targets

    def of(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, smooth(targets), reduction="none").sum(dim=1)

    return Loss(of, lambda logits, targets: torch.sigmoid(logits) - smooth(targets))


def focal() -> Loss:
    """Cross-entropy that passes over what is told apart already: https://arxiv.org/abs/1708.02002 (Lin et al.)."""

    def of(logits: Tensor, labels: Tensor) -> Tensor:
        loss = functional.cross_entropy(logits, labels, reduction="none")
        return (1 - torch.exp(-loss)) ** FOCUS * loss

    return Loss(of)


def binary_focal() -> Loss:
    """The same of one logit a label; the sum over the labels."""

    def of(logits: Tensor, targets: Tensor) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return ((1 - torch.exp(-loss)) ** FOCUS * loss).sum(dim=1)

    return Loss(of)


def own(function: RowLosses) -> Loss:
    """A loss of the caller's; raises `ValueError` where it gives something else than one number a row."""

    def of(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = function(outputs, targets)
        if losses.shape != (len(outputs),):
            raise ValueError(
                f"the loss has the shape {tuple(losses.shape)}, expected ({len(outputs)},): one for each row, such as "
                ".sum(dim=1) gives"
            )
        return losses

    return Loss(of)


# Each is the sum over the targets. Huber's is quadratic up to an error of 1. Poisson's outputs are logarithms of what
# is expected, and its loss is half the deviance, 0 at best.
REGRESSION: Final[dict[str, Loss]] = {
    "squared_error": Loss(
        lambda values, targets: (values - targets).square().sum(dim=1) / 2, lambda values, targets: values - targets
    ),
    "absolute_error": Loss(
        lambda values, targets: (values - targets).abs().sum(dim=1), lambda values, targets: (values - targets).sign()
    ),
    "huber": Loss(
        lambda values, targets: functional.huber_loss(values, targets, reduction="none").sum(dim=1),
        lambda values, targets: (values - targets).clamp(-1, 1),
    ),
    "poisson": Loss(
        lambda logs, targets: (torch.xlogy(targets, targets) - targets * (logs + 1) + logs.exp()).sum(dim=1),
        lambda logs, targets: logs.exp() - targets,
    ),
}


def _r2(values: Tensor, targets: Tensor) -> Tensor:
    residual = (targets - values).square().sum(dim=0)
    total = (targets - targets.mean(dim=0)).square().sum(dim=0)
    return (1 - residual / total).mean()
