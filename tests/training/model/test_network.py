"""The layers of a perceptron in order; local initialisation; dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.model.network import Dropout, init_local, perceptron


def test_the_perceptron_has_its_layers_in_order() -> None:
    layers = perceptron(4, (8, 6), 3, "tanh", 0.5, batch_norm=True)
    block = [nn.Linear, nn.BatchNorm1d, nn.Tanh, Dropout]
    assert [type(layer) for layer in layers] == [*block, *block, nn.Linear]
    sizes = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes == [(4, 8), (8, 6), (6, 3)]
    plain = perceptron(4, (8,), 3, "relu", 0.0, batch_norm=False)
    assert [type(layer) for layer in plain] == [nn.Linear, nn.ReLU, nn.Linear]


def test_a_local_layer_has_each_unit_around_a_random_point() -> None:
    torch.manual_seed(0)
    height, width, deviation = 30, 50, 3
    layer = nn.Linear(height * width, 400)
    norms = layer.weight.detach().norm(dim=1)
    init_local(layer, height, width, deviation)
    weight = layer.weight.detach()
    assert torch.allclose(weight.norm(dim=1), norms)
    share = (weight / norms[:, None]).square().view(-1, height, width)
    for axis, size in ((1, height), (2, width)):
        along, position = share.sum(dim=3 - axis), torch.arange(size)
        centre = along @ position.float()
        spread = (along * (position - centre[:, None]).square()).sum(dim=1).sqrt()
        # Squaring the weights divides the deviation by the root of 2; an edge cuts off half of them.
        assert spread.mean() == pytest.approx(deviation / 2**0.5, rel=0.15)
        assert spread.max() < 1.6 * deviation / 2**0.5
        assert (centre.min() < 0.1 * size, centre.max() > 0.9 * size) == (True, True)
        assert centre.std() == pytest.approx(size / 12**0.5, rel=0.15)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 333)
    left = Dropout(share).train()(values)
    nearest = round(share * 256) / 256
    spread = (nearest * (1 - nearest) / values.numel()) ** 0.5
    assert abs((left == 0).float().mean() - nearest) < 5 * spread
    assert left.unique().tolist() == [0, pytest.approx(1 / (1 - nearest))]
    # all rows and all units alike
    for axis in (0, 1):
        shares = (left == 0).float().mean(dim=axis)
        assert (shares - nearest).abs().max() < 5 * (nearest * (1 - nearest) / left.shape[axis]) ** 0.5


def test_dropout_changes_each_time_and_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    dropout, values = Dropout(0.5), torch.rand(3, 5)
    assert not torch.equal(dropout(torch.ones(20, 20)), dropout(torch.ones(20, 20)))
    assert dropout.eval()(values) is values
