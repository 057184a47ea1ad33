"""The gradient of the loss over a batch: by autograd for any network, by hand for Linear layers and plain activations.

The manual gradient builds no autograd graph, which takes most of the time of a small network.
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

# Input gradient from (output gradient, output).
_ACTIVATION_GRADS: Final[dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]]] = {
    nn.Identity: lambda grad, _: grad,
    nn.ReLU: lambda grad, outputs: torch.ops.aten.threshold_backward(grad, outputs, 0),
    nn.Tanh: torch.ops.aten.tanh_backward,
    nn.Sigmoid: torch.ops.aten.sigmoid_backward,
}


def of(body: nn.Sequential, flat: FlatParameters, loss: Loss, *, l2: float = 0.0, half: bool = False) -> Gradient:
    """The gradient of the weighted mean of ``loss`` plus ``l2`` / 2 / (sum of weights) times the squared weights.

    Biases and batch norms are not penalised. With ``half``, matrix products are taken in bfloat16.
    """
    plain = all(isinstance(layer, nn.Linear) or type(layer) in _ACTIVATION_GRADS for layer in body)
    manual = plain and loss.grad is not None
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
        activations = [layer for layer in body if not isinstance(layer, nn.Linear)]
        self._flat = flat
        self._values = flat.values.to(dtype)
        self._gradients = flat.gradients.to(dtype)
        values, gradients = flat.views(self._values), flat.views(self._gradients)
        self._weights, self._biases = values[::2], values[1::2]
        self._weight_gradients, self._bias_gradients = gradients[::2], gradients[1::2]
        self._activations = [layer.forward for layer in activations]
        self._activation_grads = [_ACTIVATION_GRADS[type(layer)] for layer in activations]
        self._loss = loss
        self._half = half

    @torch.no_grad()
    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        if self._half:
            self._values.copy_(self._flat.values)
        layer_inputs = [inputs.to(self._values.dtype)]
        for weight, bias, activation in zip(self._weights, self._biases, self._activations, strict=False):
            layer_inputs.append(activation(torch.addmm(bias, layer_inputs[-1], weight.t())))
        outputs = torch.addmm(self._biases[-1], layer_inputs[-1], self._weights[-1].t()).to(self._flat.values.dtype)
        value = mean(self._loss.value(outputs, targets), weights)
        assert self._loss.grad is not None  # noqa: S101 - `of` chooses autograd otherwise
        grad = self._loss.grad(outputs, targets)
        grad = grad.div_(len(inputs)) if weights is None else grad.mul_((weights / _total(weights)).unsqueeze(1))
        self._backward(grad.to(self._values.dtype), layer_inputs)
        if self._half:
            self._flat.gradients.copy_(self._gradients)
        return value

    def _backward(self, grad: Tensor, layer_inputs: list[Tensor]) -> None:
        """Propagate ``grad`` (rows, outputs), by the outputs, back to each weight and bias."""
        for index in reversed(range(len(layer_inputs))):
            torch.mm(grad.t(), layer_inputs[index], out=self._weight_gradients[index])
            torch.sum(grad, 0, out=self._bias_gradients[index])
            if index:
                grad = self._activation_grads[index - 1](torch.mm(grad, self._weights[index]), layer_inputs[index])
