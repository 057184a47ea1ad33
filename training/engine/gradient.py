"""The gradient of the loss over a batch: by autograd for any network, by hand for Linear layers and plain activations.

By hand there is no graph to build and to walk, which is most of the time of a small network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from training.engine.flat_parameters import FlatParameters
from training.engine.losses import Loss

# Of (inputs, targets, weights or None): writes the gradient of the mean loss to `FlatParameters`, returns the loss.
Gradient = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# The derivative by what went in, from the derivative by what came out and what came out.
_SLOPES: Final[dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]]] = {
    nn.Identity: lambda delta, _: delta,
    nn.ReLU: lambda delta, values: torch.ops.aten.threshold_backward(delta, values, 0),
    nn.Tanh: torch.ops.aten.tanh_backward,
    nn.Sigmoid: torch.ops.aten.sigmoid_backward,
}


def of(body: nn.Sequential, flat: FlatParameters, loss: Loss, *, l2: float = 0.0, half: bool = False) -> Gradient:
    """The gradient of the weighted mean of ``loss`` plus ``l2`` / 2 / (sum of weights) times the squared weights.

    Biases and batch norms are not in the second term. ``half`` takes the products in bfloat16.
    """
    plain = all(isinstance(layer, nn.Linear) or type(layer) in _SLOPES for layer in body)
    by_hand = plain and loss.slope is not None
    of_batch = _ByHand(body, flat, loss, half=half) if by_hand else _autograd(body, flat, loss, half=half)
    return _decayed(of_batch, flat, l2) if l2 else of_batch


def mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean of ``losses`` (rows,)."""
    return losses.mean() if weights is None else torch.dot(losses, weights) / _total(weights)


def _total(weights: Tensor) -> Tensor:
    return weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)  # rows of no weight at all count as nothing


def _decayed(of_batch: Gradient, flat: FlatParameters, l2: float) -> Gradient:
    values, gradients = flat.values[: flat.matrices], flat.gradients[: flat.matrices]

    def gradient(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        value = of_batch(inputs, targets, weights)
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
        value = mean(loss.of(outputs.to(flat.values.dtype), targets), weights)
        flat.gradients.zero_()
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return gradient


class _ByHand:
    """In bfloat16 it works on a copy of the parameters, and the gradients are copied back: two operations a step."""

    def __init__(self, body: nn.Sequential, flat: FlatParameters, loss: Loss, *, half: bool) -> None:
        dtype = torch.bfloat16 if half else flat.values.dtype
        self._flat = flat
        self._values = flat.values.to(dtype)
        self._gradients = flat.gradients.to(dtype)
        values, gradients = flat.views(self._values), flat.views(self._gradients)
        self._weights, self._biases = values[::2], values[1::2]
        self._weight_gradients, self._bias_gradients = gradients[::2], gradients[1::2]
        self._activations = [layer.forward for layer in body if not isinstance(layer, nn.Linear)]
        self._slopes = [_SLOPES[type(layer)] for layer in body if not isinstance(layer, nn.Linear)]
        self._loss = loss
        self._half = half

    @torch.no_grad()
    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if self._half:
            self._values.copy_(self._flat.values)
        values = [inputs.to(self._values.dtype)]  # of each layer, after its activation
        for weight, bias, activation in zip(self._weights, self._biases, self._activations, strict=False):
            values.append(activation(torch.addmm(bias, values[-1], weight.t())))
        outputs = torch.addmm(self._biases[-1], values[-1], self._weights[-1].t()).to(self._flat.values.dtype)
        value = mean(self._loss.of(outputs, targets), weights)
        assert self._loss.slope is not None  # noqa: S101 - else autograd would have been taken
        delta = self._loss.slope(outputs, targets)
        delta = delta.div_(len(inputs)) if weights is None else delta.mul_((weights / _total(weights)).unsqueeze(1))
        self._back(delta.to(self._values.dtype), values)
        if self._half:
            self._flat.gradients.copy_(self._gradients)
        return value

    def _back(self, delta: Tensor, values: list[Tensor]) -> None:
        """From the derivative by the outputs, ``delta`` (rows, outputs), to the gradient of each weight and bias."""
        for index in reversed(range(len(values))):
            torch.mm(delta.t(), values[index], out=self._weight_gradients[index])
            torch.sum(delta, 0, out=self._bias_gradients[index])
            if index:
                delta = self._slopes[index - 1](torch.mm(delta, self._weights[index]), values[index])
