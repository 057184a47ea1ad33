"""All parameters of a network in one vector, and all their gradients in another: what changes them does so at once."""

from __future__ import annotations

import torch
from torch import nn


class Flat:
    """Moves the parameters of ``body`` into ``values`` (parameters,), matrices first, and makes them views of it.

    ``gradients`` (parameters,) is laid out alike, each parameter's ``grad`` a view of it; the first ``matrices``
    numbers of both belong to weight matrices, the others to biases and batch norms.
    """

    def __init__(self, body: nn.Module) -> None:
        self._parameters = sorted(body.parameters(), key=lambda parameter: parameter.ndim <= 1)
        self.values = torch.cat([parameter.detach().flatten() for parameter in self._parameters])
        self.gradients = torch.zeros_like(self.values)
        self.matrices = sum(parameter.numel() for parameter in self._parameters if parameter.ndim > 1)
        first = 0
        for parameter in self._parameters:
            part = slice(first, first + parameter.numel())
            parameter.data = self.values[part].view_as(parameter)
            parameter.grad = self.gradients[part].view_as(parameter)
            first = part.stop

    def release(self) -> None:
        """Give each parameter its own memory back, so that it can be saved and moved by itself."""
        for parameter in self._parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None
