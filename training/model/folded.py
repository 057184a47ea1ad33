"""The function of a trained network from encoded rows, as Linear layers and activations: what its graph computes."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from training.model.ensemble import MeanProbabilities, MeanSideBySide, MeanValues, MemberLinear, side_by_side
from training.model.features import Features
from training.model.network import Dropout, Network
from training.model.preprocess import Preprocess
from training.model.whitening import Whiten

# Above this |mean| / standard deviation, folding the mean into the bias loses 4 of float32's 24 bits.
_FAR: Final = 16


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
