"""The multi-layer perceptron and what belongs to it: raw rows in, logits (or values in the target's unit) out.

    inputs (rows, features) raw ── prepare ──▶ (rows, width) ── body ──▶ (rows, outputs) ── scale, offset ──▶

Scaling, imputation, category codes and calibration are part of the network, so that clients send what they have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from training.model.preprocess import Prepare
from training.model.whitening import Whiten

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


# A mean of so many standard deviations costs 4 of a float32's 24 bits where it is folded away.
_FAR: Final = 16


class Network(nn.Module):
    """``body`` is trained on prepared rows; ``output_scale`` and ``output_offset`` (outputs,) are set after it.

    For classification the scale is 1 over the calibration temperature; for regression scale and offset bring values
    back to the target's own unit, in float64 where they are float64.
    """

    output_scale: Tensor
    output_offset: Tensor

    def __init__(self, prepare: Prepare, body: nn.Sequential, outputs: int) -> None:
        super().__init__()
        self.prepare = prepare
        self.body = body
        self.register_buffer("output_scale", torch.ones(outputs))
        self.register_buffer("output_offset", torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, calibrated, or values in the target's unit (rows, outputs), in the dtype of `output_offset`."""
        values: Tensor = self.body(self.prepare(inputs))
        return values * self.output_scale + self.output_offset


class Dropout(nn.Module):
    """Leaves out a ``share`` of the units at each step, to the nearest 1/256: one random number serves eight units.

    Drawing a number for each, as torch's own does, takes half as long as the products of a layer of 512 units.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.bound = round(share * 256)

    def forward(self, values: Tensor) -> Tensor:
        """``values`` (rows, units), in training with some of them 0 and the others larger by as much."""
        if not self.training:
            return values
        draws = torch.empty(-(-values.numel() // 8), dtype=torch.int64, device=values.device)
        # From the lowest number on, so that all 64 bits are random.
        draws.random_(torch.iinfo(torch.int64).min, None)
        dropped = draws.view(torch.uint8)[: values.numel()].view_as(values) < self.bound
        return values.masked_fill(dropped, 0) * (256 / (256 - self.bound))


def perceptron(
    width: int, hidden: Sequence[int], outputs: int, activation: str, dropout: float, *, batch_norm: bool
) -> nn.Sequential:
    """Linear → (batch norm) → activation → (dropout) for each size in ``hidden``, then Linear to ``outputs``."""
    layers: list[nn.Module] = []
    for size, units in pairwise((width, *hidden)):
        layers.append(nn.Linear(size, units))
        if batch_norm:
            layers.append(nn.BatchNorm1d(units))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear((width, *hidden)[-1], outputs))


@torch.no_grad()
def glorot_uniform(body: nn.Sequential, random: np.random.RandomState) -> None:
    """Weights and biases as scikit-learn draws them, number for number, so that a seed gives the same network.

    https://proceedings.mlr.press/v9/glorot10a.html
    """
    factor = 2.0 if any(isinstance(layer, nn.Sigmoid) for layer in body) else 6.0
    for layer in body:
        if isinstance(layer, nn.Linear):
            bound = math.sqrt(factor / (layer.in_features + layer.out_features))
            weight = random.uniform(-bound, bound, (layer.in_features, layer.out_features))
            layer.weight.copy_(torch.from_numpy(weight).t())
            layer.bias.copy_(torch.from_numpy(random.uniform(-bound, bound, layer.out_features)))


@torch.no_grad()
def localise(first: nn.Linear, height: int, width: int, deviation_pixels: int) -> None:
    """Let each unit of ``first`` begin with one place of an image: around it its weights fall off as a Gaussian does.

    A convolution is as local, and cannot help it; here training may go on from there to anything else. See
    https://arxiv.org/abs/1906.06766 (d'Ascoli et al.). The weights of a unit together stay as long as they were.
    """
    weight = first.weight
    lengths = weight.norm(dim=1, keepdim=True)
    pixels = weight.view(-1, height, width)
    for axis, size in ((1, height), (2, width)):
        away = torch.arange(size) - size * torch.rand(len(weight), 1)
        pixels.mul_(torch.exp(-away.square() / (2 * deviation_pixels**2)).unsqueeze(3 - axis))
    weight.mul_(lengths / weight.norm(dim=1, keepdim=True))


class Centre(nn.Module):
    """Encoded rows less their ``offset`` (width,)."""

    offset: Tensor

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset)

    def forward(self, encoded: Tensor) -> Tensor:
        """``encoded`` (rows, width) about 0."""
        return encoded - self.offset


class Restore(nn.Module):
    """Values brought back to their own unit in the dtype of ``scale`` and ``offset`` (outputs,)."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, values: Tensor) -> Tensor:
        """Of ``values`` (rows, outputs)."""
        return values.to(self.scale.dtype) * self.scale + self.offset


def folded(network: Network) -> nn.Sequential:
    """The same function of *encoded* rows in Linear layers and activations alone.

    Standardisation and whitening go into the first layer's weights, batch norms into the layers before them, output
    scale and offset into the last; computed in float64, given in float32. Where a feature is far from zero, as a year
    is, its product with a weight would take the digits that tell one value from another: there a `Centre` comes first.
    Output scale and offset in float64 are a `Restore` of their own, as no float32 could hold what they give.
    """
    layers: list[nn.Module] = []
    for before, layer in pairwise((None, *network.body)):
        if isinstance(layer, nn.Linear):
            copy = nn.Linear(layer.in_features, layer.out_features, dtype=torch.float64)
            copy.load_state_dict(layer.state_dict())
            if isinstance(before, Whiten):
                copy.weight.data @= before.matrix.double().T
            layers.append(copy)
        elif isinstance(layer, nn.BatchNorm1d):
            linear = cast("nn.Linear", layers.pop())
            batch_norm = nn.BatchNorm1d(layer.num_features, eps=layer.eps, dtype=torch.float64)
            batch_norm.load_state_dict(layer.state_dict())
            layers.append(fuse_linear_bn_eval(linear.eval(), batch_norm.eval()))
        elif not isinstance(layer, Whiten | Dropout | nn.Identity):
            layers.append(layer)
    first, last = cast("nn.Linear", layers[0]), cast("nn.Linear", layers[-1])
    with torch.no_grad():
        scale, offset = network.prepare.scale.double(), network.prepare.offset.double()
        first.weight.mul_(scale)
        if (offset.abs() * scale).max() > _FAR:
            layers.insert(0, Centre(offset))
        else:
            first.bias.sub_(first.weight @ offset)
        if network.output_offset.dtype != torch.float64:
            last.weight.mul_(network.output_scale.double()[:, None])
            last.bias.mul_(network.output_scale.double()).add_(network.output_offset.double())
    chain = nn.Sequential(*layers).float()
    if network.output_offset.dtype == torch.float64:
        chain.append(Restore(network.output_scale, network.output_offset))
    return chain.eval()
