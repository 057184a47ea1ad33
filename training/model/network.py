"""The multi-layer perceptron: raw rows in, logits or predicted numbers out.

    inputs (rows, features) raw ── preprocess ──▶ (rows, width) ── body ──▶ (rows, outputs) ── scale, offset ──▶

Imputation, encoding, scaling and calibration are part of the network, so clients send raw values. For a table the body
starts with `Features`.
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

from training.model.ensemble import (
    MeanProbabilities,
    MeanSideBySide,
    MeanValues,
    MemberLinear,
    members_of,
    side_by_side,
)
from training.model.features import Features
from training.model.preprocess import Preprocess
from training.model.whitening import Whiten

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


# Above this |mean| / standard deviation, folding the mean into the bias loses 4 of float32's 24 bits.
_FAR: Final = 16


class Network(nn.Module):
    """``body`` is trained on preprocessed rows; ``output_scale`` and ``output_offset`` (outputs,) are set afterwards.

    For classification the scale is 1 / temperature, except for an ensemble, which has a temperature in its ``body``.
    For regression scale and offset bring values back to the unit of the target; if they are float64, so are the
    outputs.
    """

    output_scale: Tensor
    output_offset: Tensor

    def __init__(self, preprocess: Preprocess, body: nn.Sequential, outputs: int) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.body = body
        self.register_buffer("output_scale", torch.ones(outputs))
        self.register_buffer("output_offset", torch.zeros(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Calibrated logits or predicted numbers (rows, outputs) of raw ``inputs``, in the dtype of `output_offset`."""
        values: Tensor = self.body(self.preprocess(inputs))
        return values * self.output_scale + self.output_offset


class Dropout(nn.Module):
    """Drop a ``share`` of the units at each step, rounded to 1/256: one random number serves eight units.

    One number per unit, as `nn.Dropout` draws, takes half as long as the matrix products of a layer of 512 units.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.bound = round(share * 256)
        self.factor = 256 / (256 - self.bound)

    def mask(self, values: Tensor) -> Tensor:
        """Random factors in the shape and dtype of ``values`` (rows, units): 0 for those to drop."""
        draws = torch.empty(-(-values.numel() // 8), dtype=torch.int64, device=values.device)
        # From the lowest int64, so that all 64 bits are random.
        draws.random_(torch.iinfo(torch.int64).min, None)
        kept = draws.view(torch.uint8)[: values.numel()].view(values.shape)
        torch.ge(kept, self.bound, out=kept)  # as bytes: torch converts booleans seven times as slowly
        return kept.to(values.dtype).mul_(self.factor)

    def forward(self, values: Tensor) -> Tensor:
        """``values`` (rows, units); in training some are set to 0 and the others scaled up to keep the mean."""
        return values * self.mask(values) if self.training else values


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


def ensemble(
    members: int, width: int, hidden: Sequence[int], outputs: int, activation: str, dropout: float, *, classifies: bool
) -> nn.Sequential:
    """As `perceptron`, for each of ``members`` networks, whose probabilities or values are averaged."""

    def between() -> list[nn.Module]:
        return [ACTIVATIONS[activation](), *([Dropout(dropout)] if dropout else [])]

    mean = MeanProbabilities() if classifies else MeanValues()
    return members_of(members, width, hidden, outputs, between, mean)


@torch.no_grad()
def glorot_uniform(body: nn.Sequential, random: np.random.RandomState) -> None:
    """Initialise weights and biases exactly as scikit-learn does, so that a seed gives the same network.

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
def init_local(first: nn.Linear, height: int, width: int, deviation_pixels: int) -> None:
    """Initialise each unit of ``first`` around one random point of the image: its weights fall off as a Gaussian.

    The network starts as local as a convolution, but is free to unlearn it: https://arxiv.org/abs/1906.06766 (d'Ascoli
    et al.). The norm of the weights of each unit stays the same.
    """
    weight = first.weight
    norms = weight.norm(dim=1, keepdim=True)
    pixels = weight.view(-1, height, width)
    for axis, size in ((1, height), (2, width)):
        distance = torch.arange(size) - size * torch.rand(len(weight), 1)
        pixels.mul_(torch.exp(-distance.square() / (2 * deviation_pixels**2)).unsqueeze(3 - axis))
    weight.mul_(norms / weight.norm(dim=1, keepdim=True))


class Centre(nn.Module):
    """Subtract ``offset`` (width,) from encoded rows."""

    offset: Tensor

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset)

    def forward(self, encoded: Tensor) -> Tensor:
        """Centred rows (rows, width)."""
        return encoded - self.offset


class Unscale(nn.Module):
    """Bring values back to the unit of the target, in the dtype of ``scale`` and ``offset`` (outputs,)."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, values: Tensor) -> Tensor:
        """Values in the unit of the target (rows, outputs)."""
        return values.to(self.scale.dtype) * self.scale + self.offset


def fold(network: Network) -> nn.Sequential:
    """The function that ``network`` computes from *encoded* rows, as Linear layers and activations only.

    Standardisation and whitening are folded into the first layer, batch norms into the layers before them, output scale
    and offset into the last layer; computed in float64, returned in float32. Three parts stay layers of their own:
    `Features`, for a table, which standardises; where float32 would lose digits, a `Centre` comes first if a feature is
    far from zero; and an `Unscale` comes last if output scale and offset are float64.

    The members of an ensemble are computed side by side. If it classifies, the outputs are probabilities, and the last
    layer is a `MeanSideBySide`: there is no logit whose softmax they are.
    """
    layers = _without_norms(network.body)
    if isinstance(layers[-1], MeanProbabilities | MeanValues):
        layers = side_by_side(layers)
    float64_outputs = network.output_offset.dtype == torch.float64
    with torch.no_grad():
        if not isinstance(layers[0], Features):
            _fold_scaling(layers, network.preprocess)
        if not (float64_outputs or isinstance(layers[-1], MeanSideBySide)):
            last = cast("nn.Linear", layers[-1])
            last.weight.mul_(network.output_scale.double()[:, None])
            last.bias.mul_(network.output_scale.double()).add_(network.output_offset.double())
    body = nn.Sequential(*layers).float()
    if float64_outputs:
        body.append(Unscale(network.output_scale, network.output_offset))
    return body.eval()


def _fold_scaling(layers: list[nn.Module], preprocess: Preprocess) -> None:
    """Fold the standardisation into the first of ``layers``, or put a `Centre` before it."""
    first = cast("nn.Linear", layers[0])
    scale, offset = preprocess.scale.double(), preprocess.offset.double()
    first.weight.mul_(scale)
    if (offset.abs() * scale).max() > _FAR:
        layers.insert(0, Centre(offset))
    else:
        first.bias.sub_(first.weight @ offset)


def _without_norms(body: nn.Sequential) -> list[nn.Module]:
    """Copies of the Linear layers in float64, with whitening and batch norms folded in, and the activations."""
    layers: list[nn.Module] = []
    for previous, layer in pairwise((None, *body)):
        if isinstance(layer, nn.Linear):
            copy = nn.Linear(layer.in_features, layer.out_features, dtype=torch.float64)
            copy.load_state_dict(layer.state_dict())
            if isinstance(previous, Whiten):
                copy.weight.data @= previous.matrix.double().T
            layers.append(copy)
        elif isinstance(layer, MemberLinear):
            own = MemberLinear(layer.members, layer.in_features, layer.out_features, torch.float64)
            own.load_state_dict(layer.state_dict())
            layers.append(own)
        elif isinstance(layer, nn.BatchNorm1d):
            linear = cast("nn.Linear", layers.pop())
            batch_norm = nn.BatchNorm1d(layer.num_features, eps=layer.eps, dtype=torch.float64)
            batch_norm.load_state_dict(layer.state_dict())
            layers.append(fuse_linear_bn_eval(linear.eval(), batch_norm.eval()))
        elif not isinstance(layer, Whiten | Dropout | nn.Identity):
            layers.append(layer)
    return layers
