"""An ensemble in one network: members of equal size, with weights of their own, computed by batched products.

    (rows, width) ── Linear ──▶ (rows, members x units) ── SplitMembers ──▶ (members, rows, units) ── MemberLinear …
        ──▶ (members, rows, outputs) ── MeanProbabilities or MeanValues ──▶ (rows, outputs)

All members read the same rows, so that their first layers are one product. In training the last layer passes on the
outputs of each member, which has a loss of its own, as if it were trained alone. In evaluation it gives their mean:
https://arxiv.org/abs/1612.01474 (Lakshminarayanan et al.), https://arxiv.org/abs/2410.24210 (Gorishniy et al., TabM).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class SplitMembers(nn.Module):
    """Give each of ``members`` its units: (rows, members x units) → (members, rows, units)."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members

    def forward(self, values: Tensor) -> Tensor:
        """A view of ``values`` (rows, members x units)."""
        return values.view(len(values), self.members, -1).transpose(0, 1)


class MemberLinear(nn.Module):
    """A Linear layer for each member; ``weight`` (members, in, out), ``bias`` (members x out,).

    Initialised as `nn.Linear`.
    """

    def __init__(self, members: int, in_features: int, out_features: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.members, self.in_features, self.out_features = members, in_features, out_features
        bound = 1 / math.sqrt(in_features)
        weight = torch.empty(members, in_features, out_features, dtype=dtype)
        bias = torch.empty(members * out_features, dtype=dtype)  # a vector, so that it does not decay
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.bias = nn.Parameter(bias.uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        """(members, rows, out) of ``values`` (members, rows, in)."""
        return torch.baddbmm(self.bias.view(self.members, 1, self.out_features), values, self.weight)


class MeanProbabilities(nn.Module):
    """In evaluation the log of the mean of the members' probabilities, in training the logits as they are.

    ``inverse_temperature`` float (), set after training, multiplies the logits before the mean. The one that suits the
    mean calibrates as well as one after it, and is part of the last weights at export.
    """

    inverse_temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("inverse_temperature", torch.ones(()))

    def forward(self, logits: Tensor) -> Tensor:
        """(rows, classes) of ``logits`` (members, rows, classes); their softmax is the mean of the probabilities."""
        if self.training:
            return logits
        tiny = torch.finfo(logits.dtype).tiny  # where all members are certain that it is another class
        return torch.softmax(logits * self.inverse_temperature, dim=2).mean(dim=0).clamp(min=tiny).log()


class MeanValues(nn.Module):
    """In evaluation the mean of the members' values, in training the values as they are."""

    def forward(self, values: Tensor) -> Tensor:
        """(rows, targets) of ``values`` (members, rows, targets)."""
        return values if self.training else values.mean(dim=0)


def members_of(
    members: int,
    width: int,
    hidden: Sequence[int],
    outputs: int,
    between: Callable[[], Sequence[nn.Module]],
    mean: nn.Module,
) -> nn.Sequential:
    """Networks of ``hidden`` units, ended by ``mean``; ``between`` makes the layers after each hidden one."""
    first, *others = hidden
    layers: list[nn.Module] = [nn.Linear(width, members * first), *between(), SplitMembers(members)]
    for size, units in pairwise((first, *others)):
        layers += [MemberLinear(members, size, units), *between()]
    return nn.Sequential(*layers, MemberLinear(members, hidden[-1], outputs), mean)


class SideBySide(nn.Module):
    """The Linear layer of each member on its own part of (rows, members x in), to (rows, members x out)."""

    def __init__(self, layer: MemberLinear) -> None:
        super().__init__()
        self.in_features = layer.in_features
        self.linears = nn.ModuleList(map(_linear, layer.weight, layer.bias.view(layer.members, -1)))

    def forward(self, values: Tensor) -> Tensor:
        """(rows, members x out) of ``values`` (rows, members x in)."""
        parts = torch.split(values, self.in_features, dim=1)
        return torch.cat([linear(part) for linear, part in zip(self.linears, parts, strict=True)], dim=1)


class MeanSideBySide(nn.Module):
    """Mean probabilities (rows, classes) of logits (rows, members x classes)."""

    mean: Tensor

    def __init__(self, members: int, classes: int) -> None:
        super().__init__()
        self._shape = (members, classes)
        self.register_buffer("mean", torch.eye(classes).repeat(members, 1) / members)

    def forward(self, logits: Tensor) -> Tensor:
        """(rows, classes) of ``logits``."""
        return torch.softmax(logits.view(-1, *self._shape), dim=2).flatten(1) @ self.mean


@torch.no_grad()
def side_by_side(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """The function of ``layers`` in evaluation, with the members side by side: (rows, members x units).

    ``layers`` end with those of an ensemble. ONNX Runtime computes a row to the same bits alone and in a batch if a
    product is of two matrices, one of them constant, but not by batched products and reductions, which are hardly
    faster. Classes get probabilities instead of logits.
    """
    *inner, last, mean = (layer for layer in layers if not isinstance(layer, SplitMembers))
    found = [SideBySide(layer) if isinstance(layer, MemberLinear) else layer for layer in inner]
    assert isinstance(last, MemberLinear)  # noqa: S101 - `members_of` ends with one and the mean
    if isinstance(mean, MeanProbabilities):
        last.weight.mul_(mean.inverse_temperature)
        last.bias.mul_(mean.inverse_temperature)
        return [*found, SideBySide(last), MeanSideBySide(last.members, last.out_features)]
    bias = last.bias.view(last.members, -1).mean(dim=0)
    return [*found, _linear(last.weight.flatten(0, 1) / last.members, bias)]


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A Linear layer with this ``weight`` (in, out) and ``bias`` (out,)."""
    linear = nn.Linear(weight.shape[0], weight.shape[1], dtype=weight.dtype)
    linear.weight.copy_(weight.t())
    linear.bias.copy_(bias)
    return linear
