"""The gradient of the loss over a batch: by autograd for any network, by hand for Linear layers and plain activations.

By hand there is no graph to build and to walk, which is most of the time of a small network, and each product goes
straight to where the optimizer reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from training.objective import Loss

# Puts the gradient of the mean loss over (inputs, targets, weights or None) into each parameter's ``grad``; the loss.
Gradient = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# The derivative by what went in, from the derivative by what came out and what came out.
_SLOPES: Final[dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]]] = {
    nn.Identity: lambda delta, _: delta,
    nn.ReLU: lambda delta, values: torch.ops.aten.threshold_backward(delta, values, 0),
    nn.Tanh: torch.ops.aten.tanh_backward,
    nn.Sigmoid: torch.ops.aten.sigmoid_backward,
}


def of(body: nn.Sequential, loss: Loss, *, l2: float = 0.0, half: bool = False) -> Gradient:
    """The gradient of the weighted mean of ``loss`` plus ``l2`` / 2 / (sum of weights) times the squared weights.

    Biases and batch norms are not in the second term. ``half`` takes the products in bfloat16.
    """
    plain = all(isinstance(layer, nn.Linear) or type(layer) in _SLOPES for layer in body)
    if plain and loss.slope is not None and not half:
        return _ByHand(body, loss, l2)
    return _autograd(body, loss, l2, half=half)


def _autograd(body: nn.Sequential, loss: Loss, l2: float, *, half: bool) -> Gradient:
    device = next(body.parameters()).device
    matrices = [parameter for parameter in body.parameters() if parameter.ndim > 1]

    def gradient(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = body(inputs)
        losses = loss.of(outputs.float() if half else outputs, targets)
        value, total = mean(losses, weights)
        if l2:
            value = value + l2 / 2 / total * sum(matrix.square().sum() for matrix in matrices)
        body.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return gradient


class _ByHand:
    def __init__(self, body: nn.Sequential, loss: Loss, l2: float) -> None:
        for parameter in body.parameters():
            parameter.grad = torch.zeros_like(parameter)
        layers = [layer for layer in body if isinstance(layer, nn.Linear)]
        self._weights = [layer.weight.detach() for layer in layers]
        self._biases = [layer.bias.detach() for layer in layers]
        self._weight_gradients = [_gradient(layer.weight) for layer in layers]
        self._bias_gradients = [_gradient(layer.bias) for layer in layers]
        self._activations = [layer for layer in body if not isinstance(layer, nn.Linear)]
        self._loss = loss
        self._l2 = l2

    @torch.no_grad()
    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        values = [inputs]  # of each layer, after its activation
        for weight, bias, activation in zip(self._weights, self._biases, self._activations, strict=False):
            values.append(activation(torch.addmm(bias, values[-1], weight.t())))
        outputs = torch.addmm(self._biases[-1], values[-1], self._weights[-1].t())
        value, total = mean(self._loss.of(outputs, targets), weights)
        assert self._loss.slope is not None  # noqa: S101 - else autograd would have been taken
        delta = self._loss.slope(outputs, targets)
        delta = delta / total if weights is None else delta * (weights / total).unsqueeze(1)
        decay = self._l2 / total
        for index in reversed(range(len(values))):
            weight, gradient = self._weights[index], self._weight_gradients[index]
            torch.mm(delta.t(), values[index], out=gradient)
            if self._l2:
                gradient.add_(weight * decay)
                value += decay / 2 * torch.linalg.vector_norm(weight) ** 2
            torch.sum(delta, 0, out=self._bias_gradients[index])
            if index:
                delta = _SLOPES[type(self._activations[index - 1])](torch.mm(delta, weight), values[index])
        return value


def mean(losses: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | int]:
    """The weighted mean of ``losses`` (rows,), and what their weights sum up to."""
    if weights is None:
        return losses.mean(), len(losses)
    total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)  # rows of no weight at all count as nothing
    return torch.dot(losses, weights) / total, total


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None  # noqa: S101 - it was given one above
    return parameter.grad
