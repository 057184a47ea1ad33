"""The layers that the manual gradient covers, each as a forward and a backward step over one batch.

To cover another layer, write a `Step` and add it to `_STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from training.model.features import Features
from training.model.network import Dropout


class Step(Protocol):
    """One layer. It keeps what its backward step needs of the forward step before."""

    def forward(self, values: Tensor) -> Tensor:
        """The layer's outputs (rows, outputs) for its inputs ``values`` (rows, inputs)."""
        ...

    def backward(self, grad: Tensor) -> Tensor:
        """Write the gradients of the layer's parameters; the gradient by its inputs, from ``grad`` by its outputs.

        Only the last of the inputs need one, as many as `of` was told; the others may be left out.
        """
        ...


# Of the layer, its parameters and their gradients, and how many of its last inputs need a gradient; None for all.
_Factory = Callable[[Any, list[Tensor], list[Tensor], int | None], Step]


def cover(body: nn.Sequential) -> bool:
    """Whether each layer of ``body`` has a step."""
    return all(type(layer) in _STEPS for layer in body)


def of(body: nn.Sequential, values: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Step]:
    """The steps of ``body``; ``values`` and ``gradients`` belong to its parameters, in their order."""
    remaining: Iterator[tuple[Tensor, Tensor]] = iter(zip(values, gradients, strict=True))
    found: list[Step] = []
    needed: int | None = 0
    for layer in body:
        own = [next(remaining) for _ in layer.parameters()]
        found.append(_STEPS[type(layer)](layer, [value for value, _ in own], [grad for _, grad in own], needed))
        if own:
            needed = layer.learned_width if isinstance(layer, Features) else None
    return found


class _Linear:
    def __init__(self, _: nn.Linear, values: list[Tensor], gradients: list[Tensor], needed: int | None) -> None:
        self._weight, self._bias = values
        self._transposed = self._weight.t()
        self._weight_gradient, self._bias_gradient = gradients
        self._needed = self._weight if needed is None else self._weight[:, self._weight.shape[1] - needed :]

    def forward(self, values: Tensor) -> Tensor:
        self._inputs = values = values.to(self._weight.dtype)
        return torch.addmm(self._bias, values, self._transposed)

    def backward(self, grad: Tensor) -> Tensor:
        torch.mm(grad.t(), self._inputs, out=self._weight_gradient)
        torch.sum(grad, 0, out=self._bias_gradient)
        return torch.mm(grad, self._needed) if self._needed.shape[1] else grad


class _Activation:
    def __init__(self, layer: nn.Module, *_: object) -> None:
        self._function: Callable[[Tensor], Tensor] = layer.forward
        self._grad: Callable[[Tensor, Tensor], Tensor] = _ACTIVATION_GRADS[type(layer)]

    def forward(self, values: Tensor) -> Tensor:
        self._outputs = self._function(values)
        return self._outputs

    def backward(self, grad: Tensor) -> Tensor:
        return self._grad(grad, self._outputs)


class _Dropout:
    def __init__(self, layer: Dropout, *_: object) -> None:
        self._layer = layer

    def forward(self, values: Tensor) -> Tensor:
        self._dropped = dropped = self._layer.dropped(values)
        return values.masked_fill(dropped, 0).mul_(self._layer.factor)

    def backward(self, grad: Tensor) -> Tensor:
        return grad.masked_fill_(self._dropped, 0).mul_(self._layer.factor)


class _Features:
    """Bins and one-hot codes have no gradient; that of an embedding is the sum over the rows that have its code."""

    def __init__(self, layer: Features, _: list[Tensor], gradients: list[Tensor], __: int | None) -> None:
        self._layer = layer
        self._gradients = gradients

    def forward(self, values: Tensor) -> Tensor:
        self._prepared = values
        expanded: Tensor = self._layer(values)
        return expanded

    def backward(self, grad: Tensor) -> Tensor:
        embeddings = self._layer.embeddings
        if embeddings is not None:
            index = embeddings.index(self._layer.codes(self._prepared))
            of_codes = grad[:, -embeddings.width :].reshape(len(index), -1)
            self._gradients[0].zero_().index_add_(0, index, of_codes)
        return grad


# Input gradient from (output gradient, output).
_ACTIVATION_GRADS: Final[dict[type[nn.Module], Callable[[Tensor, Tensor], Tensor]]] = {
    nn.Identity: lambda grad, _: grad,
    nn.ReLU: lambda grad, outputs: torch.ops.aten.threshold_backward(grad, outputs, 0),
    nn.Tanh: torch.ops.aten.tanh_backward,
    nn.Sigmoid: torch.ops.aten.sigmoid_backward,
}
_STEPS: Final[dict[type[nn.Module], _Factory]] = {
    nn.Linear: _Linear,
    Dropout: _Dropout,
    Features: _Features,
    **dict.fromkeys(_ACTIVATION_GRADS, _Activation),
}
