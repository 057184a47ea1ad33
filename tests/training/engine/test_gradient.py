"""The manual gradient against autograd's, and both against finite differences of the loss."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from training.engine import gradient, losses
from training.engine.flat_parameters import FlatParameters
from training.engine.losses import Loss
from training.model.network import perceptron

ROWS, WIDTH, OUTPUTS = 7, 4, 3
CLASSES = torch.tensor([0, 2, 1, 0, 0, 1, 2])
NUMBERS = torch.linspace(0, 3, ROWS * OUTPUTS, dtype=torch.float64).view(ROWS, OUTPUTS)
LABELS = (NUMBERS > 1.4).double()
TARGETS: dict[str, Tensor] = {"classes": CLASSES, "labels": LABELS, "numbers": NUMBERS}
LOSSES: dict[str, tuple[Loss, Tensor]] = {
    "soft": (losses.soft_cross_entropy(), torch.softmax(NUMBERS, dim=1)),
    "smoothed": (losses.cross_entropy(0.3), CLASSES),
    "smoothed labels": (losses.binary_cross_entropy(0.3), LABELS),
    **{
        f"{name} of {kind}": (loss, TARGETS[kind])
        for kind, named in losses.LOSSES.items()
        for name, loss in named.items()
    },
}
WEIGHTS = torch.tensor([1.0, 0, 2, 3, 0.5, 1, 1], dtype=torch.float64)
Weights = Tensor | None


def network(activation: str = "tanh", hidden: tuple[int, ...] = (5, 6)) -> nn.Sequential:
    torch.manual_seed(0)
    return perceptron(WIDTH, hidden, OUTPUTS, activation, 0.0, batch_norm=False).double()


def inputs() -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss_and_gradient(
    body: nn.Sequential, loss: Loss, targets: Tensor, weights: Weights, *, l2: float = 0.0
) -> tuple[float, Tensor]:
    """The loss, and its gradient in the layout of `FlatParameters`."""
    flat = FlatParameters(body)
    value = gradient.of(body, flat, loss, l2=l2)(inputs(), targets, weights)
    return float(value), flat.gradients.clone()


@pytest.mark.parametrize(("name", "weights"), list(product(LOSSES, [None, WEIGHTS])))
def test_the_gradient_equals_finite_differences(name: str, weights: Weights) -> None:
    loss, targets = LOSSES[name]
    body = network()
    _, found = loss_and_gradient(body, loss, targets, weights, l2=0.7)
    flat = FlatParameters(body)
    evaluate = gradient.of(body, flat, loss, l2=0.7)
    for index in range(len(flat.values)):
        ends = []
        for change in (1e-6, -2e-6):
            flat.values[index] += change
            ends.append(float(evaluate(inputs(), targets, weights)))
        flat.values[index] += 1e-6
        assert float(found[index]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("hidden", [(), (5,), (5, 6, 7)])
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_manual_gradient_equals_autograds(activation: str, hidden: tuple[int, ...], weights: Weights) -> None:
    loss = losses.cross_entropy()
    manual = loss_and_gradient(network(activation, hidden), loss, CLASSES, weights)
    automatic = loss_and_gradient(network(activation, hidden), Loss(loss.value), CLASSES, weights)
    assert manual[0] == pytest.approx(automatic[0])
    torch.testing.assert_close(manual[1], automatic[1])


def test_half_precision_is_close_for_both() -> None:
    loss = losses.cross_entropy()
    for each in (loss, Loss(loss.value)):
        found = []
        for half in (False, True):
            body = network().float()
            flat = FlatParameters(body)
            value = gradient.of(body, flat, each, half=half)(inputs().float(), CLASSES, None)
            found.append((float(value), flat.gradients))
        assert found[1][0] == pytest.approx(found[0][0], rel=0.01)
        assert found[1][0] != found[0][0]
        torch.testing.assert_close(found[1][1], found[0][1], rtol=0.05, atol=2e-3)


def test_rows_of_zero_weight_have_no_gradient() -> None:
    value, found = loss_and_gradient(network(), losses.cross_entropy(), CLASSES, torch.zeros(ROWS, dtype=torch.float64))
    assert value == 0
    assert not found.any()


def test_gradients_do_not_add_up_over_batches() -> None:
    body = network("gelu")
    flat = FlatParameters(body)
    evaluate: Callable[..., Tensor] = gradient.of(body, flat, losses.cross_entropy())
    evaluate(inputs(), CLASSES, None)
    once = flat.gradients.clone()
    evaluate(inputs(), CLASSES, None)
    torch.testing.assert_close(flat.gradients, once)
