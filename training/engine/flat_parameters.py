"""All parameters of a network in one vector, and all their gradients in another: what changes them does so at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Flat:
    """Moves the parameters of ``body`` into ``values`` (parameters,), matrices first, and makes them views of it.

    ``gradients`` (parameters,) is laid out alike, each parameter's ``grad`` a view of it; the first ``matrices``
    numbers of both belong to weight matrices, the others to biases and batch norms.
    """

    def __init__(self, body: nn.Module) -> None:
        self._parameters = list(body.parameters())
        matrices_first = sorted(self._parameters, key=lambda parameter: parameter.ndim <= 1)
        ends = torch.tensor([parameter.numel() for parameter in matrices_first]).cumsum(0).tolist()
        self._ends = dict(zip(map(id, matrices_first), ends, strict=True))
        self.matrices = sum(parameter.numel() for parameter in self._parameters if parameter.ndim > 1)
        self.values = torch.cat([parameter.detach().flatten() for parameter in matrices_first])
        self.gradients = torch.zeros_like(self.values)
        parts = zip(self._parameters, self.parts(self.values), self.parts(self.gradients), strict=True)
        for parameter, value, gradient in parts:
            parameter.data = value
            parameter.grad = gradient

    def parts(self, vector: Tensor) -> list[Tensor]:
        """Views of a ``vector`` that is laid out alike, in the order and the shapes of the network's parameters."""
        return [
            vector[self._ends[id(parameter)] - parameter.numel() : self._ends[id(parameter)]].view(parameter.shape)
            for parameter in self._parameters
        ]

    def release(self) -> None:
        """Give each parameter its own memory back, so that it can be saved and moved by itself."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None


@contextmanager
def flattened(body: nn.Module) -> Iterator[Flat]:
    """The parameters of ``body`` in one vector inside, each in its own memory again afterwards."""
    flat = Flat(body)
    try:
        yield flat
    finally:
        flat.release()
