"""Losses by name and kind of target, and the validation measures that go with them.

To add a loss, add an entry to `LOSSES`: the estimators offer it by that name. To offer it on the command line as well,
add the name to `training.config.LOSSES`.

Outputs are float (rows, outputs). Targets are, by kind:

- ``classes``: int64 (rows,), one class per row;
- ``labels``: float (rows, outputs), 1 for each label that applies to the row, else 0;
- ``numbers``: float (rows, outputs).

A loss has one value per row, so that rows can be weighted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

TargetKind = Literal["classes", "labels", "numbers"]
RowLosses = Callable[[Tensor, Tensor], Tensor]
_FOCUS: Final = 2.0  # of the focal loss, as its authors recommend


@dataclass(frozen=True, slots=True)
class Loss:
    """``value`` (rows,) and ``grad`` (rows, outputs), its derivative by the outputs, of outputs and targets.

    Without ``grad`` the loss is differentiated by autograd. ``smoothed`` gives the same loss with a share of each label
    spread evenly over all classes, if the loss supports it. With ``log_outputs`` the network predicts logarithms.
    """

    value: RowLosses
    grad: RowLosses | None = None
    smoothed: Callable[[float], Loss] | None = None
    log_outputs: bool = False


@dataclass(frozen=True, slots=True)
class Objective:
    """Train on ``loss``; validate by ``validation_loss`` (rows,) and ``score``, a scalar, higher is better."""

    loss: Loss
    validation_loss: RowLosses
    score: Callable[[Tensor, Tensor], Tensor]


def classification(loss: str = "log_loss", label_smoothing: float = 0.0) -> Objective:
    """Train on one of ``LOSSES["classes"]``; the score is the accuracy. Validation labels are not smoothed."""
    plain = LOSSES["classes"][loss]
    return Objective(smooth(plain, label_smoothing), plain.value, _accuracy)


def distillation() -> Objective:
    """Like `classification`, but trained on probabilities from a teacher, float (rows, outputs)."""
    return replace(classification(), loss=soft_cross_entropy())


def regression(loss: str = "squared_error") -> Objective:
    """Train on one of ``LOSSES["numbers"]``; the score is R², averaged over the targets."""
    plain = LOSSES["numbers"][loss]
    return Objective(plain, plain.value, _r2)


def smooth(loss: Loss, label_smoothing: float) -> Loss:
    """``loss`` with a share ``label_smoothing`` of each label spread evenly over all classes. Raises `ValueError`."""
    if not label_smoothing:
        return loss
    if loss.smoothed is None:
        raise ValueError("label_smoothing is for the loss 'log_loss'")
    return loss.smoothed(label_smoothing)


def custom(function: RowLosses) -> Loss:
    """A loss given by the user. Its ``value`` raises `ValueError` unless ``function`` returns one number per row."""

    def value(outputs: Tensor, targets: Tensor) -> Tensor:
        losses = function(outputs, targets)
        if losses.shape != (len(outputs),):
            raise ValueError(
                f"the loss has the shape {tuple(losses.shape)}, expected ({len(outputs)},): one for each row, such as "
                ".sum(dim=1) gives"
            )
        return losses

    return Loss(value)


def cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of logits and classes."""

    def value(logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    def grad(logits: Tensor, labels: Tensor) -> Tensor:
        probabilities = torch.softmax(logits, dim=1)
        if label_smoothing:
            probabilities -= label_smoothing / logits.shape[1]
        index = labels.unsqueeze(1)
        return probabilities.scatter_add_(1, index, logits.new_full((1, 1), label_smoothing - 1).expand_as(index))

    return Loss(value, grad, smoothed=cross_entropy)


def soft_cross_entropy() -> Loss:
    """Cross-entropy of logits and target probabilities (rows, outputs)."""

    def value(logits: Tensor, probabilities: Tensor) -> Tensor:
        return functional.cross_entropy(logits, probabilities, reduction="none")

    return Loss(value, lambda logits, probabilities: torch.softmax(logits, dim=1) - probabilities)


def binary_cross_entropy(label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy of one logit per label; the sum over the labels."""

    def smoothed(targets: Tensor) -> Tensor:
        return targets * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else targets

    def value(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, smoothed(targets), reduction="none").sum(dim=1)

    return Loss(value, lambda logits, targets: torch.sigmoid(logits) - smoothed(targets), smoothed=binary_cross_entropy)


def _focal(logits: Tensor, labels: Tensor) -> Tensor:
    loss = functional.cross_entropy(logits, labels, reduction="none")
    return (1 - torch.exp(-loss)) ** _FOCUS * loss


def _binary_focal(logits: Tensor, targets: Tensor) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((1 - torch.exp(-loss)) ** _FOCUS * loss).sum(dim=1)


# Losses of labels are summed over the labels, losses of numbers over the targets.
LOSSES: Final[dict[TargetKind, dict[str, Loss]]] = {
    "classes": {
        "log_loss": cross_entropy(),
        # Gives less weight to rows that are classified well: https://arxiv.org/abs/1708.02002 (Lin et al.)
        "focal": Loss(_focal),
    },
    "labels": {
        "log_loss": binary_cross_entropy(),
        "focal": Loss(_binary_focal),
    },
    "numbers": {
        "squared_error": Loss(
            lambda values, targets: (values - targets).square().sum(dim=1) / 2,
            lambda values, targets: values - targets,
        ),
        "absolute_error": Loss(
            lambda values, targets: (values - targets).abs().sum(dim=1),
            lambda values, targets: (values - targets).sign(),
        ),
        # Squared up to an error of 1, absolute beyond.
        "huber": Loss(
            lambda values, targets: functional.huber_loss(values, targets, reduction="none").sum(dim=1),
            lambda values, targets: (values - targets).clamp(-1, 1),
        ),
        # Half the Poisson deviance, which is 0 at best.
        "poisson": Loss(
            lambda logs, targets: (torch.xlogy(targets, targets) - targets * (logs + 1) + logs.exp()).sum(dim=1),
            lambda logs, targets: logs.exp() - targets,
            log_outputs=True,
        ),
    },
}


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).float().mean()


def _r2(values: Tensor, targets: Tensor) -> Tensor:
    residual = (targets - values).square().sum(dim=0)
    total = (targets - targets.mean(dim=0)).square().sum(dim=0)
    return (1 - residual / total).mean()
