"""The multi-layer perceptron: raw rows in, logits or predicted numbers out.

    inputs (rows, features) raw ── preprocess ──▶ (rows, width) ── body ──▶ (rows, outputs) ── scale, offset ──▶

Imputation, encoding, scaling and calibration are part of the network, so clients send raw values. For a table the body
starts with `Features`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.model.ensemble import MeanProbabilities, MeanValues, members_of
from training.model.preprocess import Preprocess

ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


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
