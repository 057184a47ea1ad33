"""All parameters of a network in one vector and all gradients in another, so that one operation updates them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves the parameters of ``body`` into ``values`` (parameters,) and makes each a view of it.

    ``gradients`` (parameters,) has the same layout, with each parameter's ``grad`` a view of it. Weight matrices come
    first and take up the first ``matrices`` numbers of both; biases and batch norms follow.
    """

    def __init__(self, body: nn.Module) -> None:
        self._parameters = list(body.parameters())
        matrices_first = sorted(self._parameters, key=lambda parameter: parameter.ndim <= 1)
        ends = torch.tensor([parameter.numel() for parameter in matrices_first]).cumsum(0).tolist()
        self._ends = dict(zip(map(id, matrices_first), ends, strict=True))
        self.matrices = sum(parameter.numel() for parameter in self._parameters if parameter.ndim > 1)
        self.values = torch.cat([parameter.detach().flatten() for parameter in matrices_first])
        self.gradients = torch.zeros_like(self.values)
        views = zip(self._parameters, self.views(self.values), self.views(self.gradients), strict=True)
        for parameter, value, gradient in views:
            parameter.data = value
            parameter.grad = gradient

    def views(self, vector: Tensor) -> list[Tensor]:
        """Views of a ``vector`` of the same layout, in the order and the shapes of the network's parameters."""
        return [
            vector[self._ends[id(parameter)] - parameter.numel() : self._ends[id(parameter)]].view(parameter.shape)
            for parameter in self._parameters
        ]

    def release(self) -> None:
        """Give each parameter its own memory again, so that it can be saved and moved alone."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None


@contextmanager
def flattened(body: nn.Module) -> Iterator[FlatParameters]:
    """Flatten the parameters of ``body`` inside the context, and release them after it."""
    flat = FlatParameters(body)
    try:
        yield flat
    finally:
        flat.release()
