"""The gradient of a batch of which each worker has a part."""

from __future__ import annotations

import torch
from torch import Tensor

from training.engine.flat_parameters import FlatParameters
from training.engine.gradient import Gradient
from training.engine.workers import Workers


def averaged(of_part: Gradient, flat: FlatParameters, workers: Workers) -> Gradient:
    """The gradient and loss of a whole batch, from ``of_part``, which computes those of a worker's part.

    Both are means over the rows of all parts, by their weights: those of one process with the whole batch, apart from
    rounding. All workers get the same numbers, by one sum over the workers.
    """
    if workers.count == 1:
        return of_part
    size = len(flat.gradients)
    message = torch.empty(size + 2, dtype=flat.gradients.dtype, device=flat.gradients.device)
    gradients, loss, weight = message[:size], message[size], message[size + 1]

    def of_batch(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        loss.copy_(of_part(inputs, targets, weights))
        gradients.copy_(flat.gradients)
        weight.fill_(1.0)
        message.mul_(len(inputs) if weights is None else weights.sum())
        workers.sum(message)
        message.div_(weight.clamp(min=torch.finfo(message.dtype).tiny))
        flat.gradients.copy_(gradients)
        return loss.clone()

    return of_batch
