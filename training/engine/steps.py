"""The layers that the manual gradient covers, each as a forward and a backward step over one batch.

To cover another layer, write a `Step` and add it to `_STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from training.engine import products
from training.model.ensemble import MeanProbabilities, MeanValues, MemberLinear, SplitMembers
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
        self._weight_gradient, self._bias_gradient = gradients
        needed_weight = self._weight if needed is None else self._weight[:, self._weight.shape[1] - needed :]
        self._needed = needed_weight.t()

    def forward(self, values: Tensor) -> Tensor:
        self._inputs = values = values.to(self._weight.dtype)
        return products.linear(values, self._weight, self._bias)

    def backward(self, grad: Tensor) -> Tensor:
        products.linear_into(self._weight_gradient, grad.t(), self._inputs.t())
        torch.sum(grad, 0, out=self._bias_gradient)
        return products.linear(grad, self._needed) if len(self._needed) else grad


class _MemberLinear:
    def __init__(self, layer: MemberLinear, values: list[Tensor], gradients: list[Tensor], _: int | None) -> None:
        self._weight, bias = values
        self._bias = bias.view(layer.members, 1, layer.out_features)
        self._transposed = self._weight.transpose(1, 2)
        self._weight_gradient, bias_gradient = gradients
        self._bias_gradient = bias_gradient.view(layer.members, layer.out_features)

    def forward(self, values: Tensor) -> Tensor:
        self._inputs = values
        return torch.baddbmm(self._bias, values, self._weight)

    def backward(self, grad: Tensor) -> Tensor:
        torch.bmm(self._inputs.transpose(1, 2), grad, out=self._weight_gradient)
        torch.sum(grad, 1, out=self._bias_gradient)
        return torch.bmm(grad, self._transposed)


class _SplitMembers:
    def __init__(self, layer: SplitMembers, *_: object) -> None:
        self._layer = layer

    def forward(self, values: Tensor) -> Tensor:
        split: Tensor = self._layer(values)
        return split

    def backward(self, grad: Tensor) -> Tensor:
        return grad.transpose(0, 1).flatten(1)


class _Mean:
    """In training each member has a loss of its own, so nothing is averaged."""

    def __init__(self, *_: object) -> None:
        pass

    def forward(self, values: Tensor) -> Tensor:
        return values

    def backward(self, grad: Tensor) -> Tensor:
        return grad


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
        self._mask = mask = self._layer.mask(values)
        return values * mask

    def backward(self, grad: Tensor) -> Tensor:
        return grad * self._mask


class _BatchNorm:
    """Its scale and shift stay in float32, as torch requires beside inputs in bfloat16."""

    def __init__(self, layer: nn.BatchNorm1d, _: list[Tensor], gradients: list[Tensor], __: int | None) -> None:
        self._layer = layer
        self._weight_gradient, self._bias_gradient = gradients

    def forward(self, values: Tensor) -> Tensor:
        layer = self._layer
        assert layer.num_batches_tracked is not None  # noqa: S101 - our batch norms track them
        assert layer.momentum is not None  # noqa: S101 - and average exponentially
        layer.num_batches_tracked.add_(1)
        self._inputs = values
        outputs, self._mean, self._inverse_deviation = torch.native_batch_norm(
            *(values, layer.weight, layer.bias, layer.running_mean, layer.running_var),
            training=True,
            momentum=layer.momentum,
            eps=layer.eps,
        )
        return outputs

    def backward(self, grad: Tensor) -> Tensor:
        layer = self._layer
        input_gradient, weight_gradient, bias_gradient = torch.ops.aten.native_batch_norm_backward(
            *(grad, self._inputs, layer.weight, layer.running_mean, layer.running_var),
            *(self._mean, self._inverse_deviation, True, layer.eps, [True, True, True]),
        )
        self._weight_gradient.copy_(weight_gradient)
        self._bias_gradient.copy_(bias_gradient)
        found: Tensor = input_gradient
        return found


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
    nn.BatchNorm1d: _BatchNorm,
    Dropout: _Dropout,
    Features: _Features,
    MemberLinear: _MemberLinear,
    SplitMembers: _SplitMembers,
    MeanProbabilities: _Mean,
    MeanValues: _Mean,
    **dict.fromkeys(_ACTIVATION_GRADS, _Activation),
}
