"""The gradient of an ensemble: by hand as by autograd, and for each member as if it were trained alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.training.model.test_ensemble import separate
from training.engine import gradient, losses
from training.engine.flat_parameters import FlatParameters
from training.engine.losses import Loss
from training.model.network import ensemble

MEMBERS, WIDTH, OUTPUTS = 3, 5, 4
CLASSES = torch.tensor([0, 3, 1, 0, 2, 1, 2])
NUMBERS = torch.linspace(0, 3, len(CLASSES) * OUTPUTS, dtype=torch.float64).view(-1, OUTPUTS)
WEIGHTS = torch.tensor([1.0, 0, 2, 3, 0.5, 1, 1], dtype=torch.float64)
Weights = Tensor | None


def network(activation: str = "tanh", hidden: tuple[int, ...] = (7, 6), *, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return ensemble(MEMBERS, WIDTH, hidden, OUTPUTS, activation, dropout, classifies=True).double().train()


def inputs() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(CLASSES), WIDTH, generator=generator, dtype=torch.float64)


def loss_and_gradient(body: nn.Sequential, loss: Loss, targets: Tensor, weights: Weights) -> tuple[float, Tensor]:
    flat = FlatParameters(body)
    torch.manual_seed(2)
    value = gradient.of(body, flat, loss)(inputs(), targets, weights)
    return float(value), flat.gradients.clone()


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("hidden", [(7,), (7, 6, 8)])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_manual_gradient_equals_autograds(activation: str, hidden: tuple[int, ...], weights: Weights) -> None:
    loss = losses.cross_entropy()
    manual = loss_and_gradient(network(activation, hidden), loss, CLASSES, weights)
    automatic = loss_and_gradient(network(activation, hidden), Loss(loss.value), CLASSES, weights)
    assert manual[0] == pytest.approx(automatic[0])
    torch.testing.assert_close(manual[1], automatic[1])


def test_dropout_drops_the_same_units_in_both() -> None:
    loss = losses.cross_entropy()
    manual = loss_and_gradient(network(dropout=0.5), loss, CLASSES, None)
    automatic = loss_and_gradient(network(dropout=0.5), Loss(loss.value), CLASSES, None)
    without = loss_and_gradient(network(), loss, CLASSES, None)
    torch.testing.assert_close(manual[1], automatic[1])
    assert manual[0] == pytest.approx(automatic[0])
    assert manual[0] != pytest.approx(without[0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    ("loss", "targets"), [(losses.cross_entropy(), CLASSES), (losses.LOSSES["numbers"]["squared_error"], NUMBERS)]
)
@pytest.mark.parametrize("manual", [True, False])
def test_each_member_has_the_gradient_of_a_network_trained_alone(
    manual: bool, loss: Loss, targets: Tensor, weights: Weights
) -> None:
    together = network()
    alone = [separate(together, member).double() for member in range(MEMBERS)]
    used = loss if manual else Loss(loss.value)
    value, _ = loss_and_gradient(together, used, targets, weights)
    values = [loss_and_gradient(each, loss, targets, weights)[0] for each in alone]
    assert value == pytest.approx(sum(values) / MEMBERS)
    for member, each in enumerate(alone):
        for found, layer in zip(_gradients(together, member), _gradients(each, None), strict=True):
            torch.testing.assert_close(found, layer)


def _gradients(body: nn.Sequential, member: int | None) -> list[Tensor]:
    """The gradients of weights (out, in) and biases, of one member of an ensemble or of a plain network."""
    found = []
    for layer in body:
        if not list(layer.parameters()):
            continue
        weight, bias = (parameter.grad for parameter in layer.parameters())
        assert weight is not None
        assert bias is not None
        if member is not None:
            weight = weight.view(MEMBERS, -1, WIDTH)[member] if weight.ndim == 2 else weight[member].t()
            bias = bias.view(MEMBERS, -1)[member]
        found += [weight, bias]
    return found
