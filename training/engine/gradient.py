"""The gradient of the loss over a batch: by autograd for any network, by hand for the layers in `steps`.

The manual gradient builds no autograd graph, which takes most of the time of a small network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.engine import steps
from training.engine.flat_parameters import FlatParameters
from training.engine.losses import Loss

# Of (inputs, targets, weights or None): writes the gradient of the mean loss to `FlatParameters`, returns the loss.
Gradient = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def of(body: nn.Sequential, flat: FlatParameters, loss: Loss, *, l2: float = 0.0, half: bool = False) -> Gradient:
    """The gradient of the weighted mean of ``loss`` plus ``l2`` / 2 / (sum of weights) times the squared weights.

    Biases and batch norms are not penalised. With ``half``, matrix products are taken in bfloat16.
    """
    manual = loss.grad is not None and steps.cover(body)
    of_loss = _Manual(body, flat, loss, half=half) if manual else _autograd(body, flat, loss, half=half)
    return _with_l2(of_loss, flat, l2) if l2 else of_loss


def mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean of ``losses`` (rows,); 0 if all weights are 0."""
    return losses.mean() if weights is None else torch.dot(losses, weights) / _total(weights)


def _total(weights: Tensor) -> Tensor:
    return weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)  # a batch of zero weights divides by this


def _with_l2(of_loss: Gradient, flat: FlatParameters, l2: float) -> Gradient:
    values, gradients = flat.values[: flat.matrices], flat.gradients[: flat.matrices]

    def gradient(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        value = of_loss(inputs, targets, weights)
        decay = l2 / (len(inputs) if weights is None else float(_total(weights)))
        gradients.add_(values, alpha=decay)
        return value.add_(torch.dot(values, values), alpha=decay / 2)

    return gradient


def _autograd(body: nn.Sequential, flat: FlatParameters, loss: Loss, *, half: bool) -> Gradient:
    device = flat.values.device

    def gradient(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if not body.training:
            body.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = body(inputs)
        value = mean(loss.value(outputs.to(flat.values.dtype), targets), weights)
        flat.gradients.zero_()
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return gradient


class _Manual:
    """Backpropagation without autograd. In bfloat16 it works on a copy of the parameters and copies gradients back."""

    def __init__(self, body: nn.Sequential, flat: FlatParameters, loss: Loss, *, half: bool) -> None:
        dtype = torch.bfloat16 if half else flat.values.dtype
        self._flat = flat
        self._values = flat.values.to(dtype)
        self._gradients = flat.gradients.to(dtype)
        self._steps = steps.of(body, flat.views(self._values), flat.views(self._gradients))
        self._loss = loss
        self._half = half

    @torch.no_grad()
    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if self._half:
            self._values.copy_(self._flat.values)
        values = inputs
        for step in self._steps:
            values = step.forward(values)
        outputs = values.to(self._flat.values.dtype)
        value = mean(self._loss.value(outputs, targets), weights)
        assert self._loss.grad is not None  # noqa: S101 - `of` chooses autograd otherwise
        grad = self._loss.grad(outputs, targets)
        grad = grad.div_(len(inputs)) if weights is None else grad.mul_((weights / _total(weights)).unsqueeze(1))
        grad = grad.to(self._values.dtype)
        for step in reversed(self._steps):
            grad = step.backward(grad)
        if self._half:
            self._flat.gradients.copy_(self._gradients)
        return value
