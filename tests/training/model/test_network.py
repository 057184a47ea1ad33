"""Folding changes nothing but the last bits, whatever the network is made of; dropout leaves out what it says."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training import small
from training.data.dataset import Column
from training.model import preprocess, whitening
from training.model.network import ACTIVATIONS, Dropout, Network, folded, localise, perceptron

ROUNDING = 2.0**-24  # half a unit in the last place of a float32
STEEPEST = 1.13  # GELU's slope is the largest of all activations'

NUMBERS = tuple(Column(f"f{place}") for place in range(5))
MIXED = (
    Column("age", missing=True),
    Column("member", "boolean", missing=True),
    Column("job", "categorical", categories=("cook", "nurse"), other=True),
    Column("height"),
)


def rows_of(columns: Sequence[Column], rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Raw rows float32 (rows, features) of different size and spread, a quarter of what may be missing NaN."""
    random = np.random.default_rng(seed)
    inputs = random.normal(3, 2, (rows, len(columns))).astype(np.float32)
    for place, column in enumerate(columns):
        if column.type == "boolean":
            inputs[:, place] = random.integers(0, 2, rows)
        if column.type == "categorical":
            inputs[:, place] = random.integers(0, column.codes, rows)
        if column.missing:
            inputs[random.random(rows) < 0.25, place] = np.nan
    return inputs


def random_network(
    columns: Sequence[Column],
    inputs: np.ndarray[Any, Any],
    activation: str = "relu",
    *,
    batch_norm: bool = False,
    whitened: bool = False,
    hidden: Sequence[int] = (16, 8),
    outputs: int = 3,
    seed: int = 0,
) -> Network:
    """A network as if it had been trained on ``inputs``: no number in it is a neutral one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        preparation = preprocess.fitted(columns, inputs, together=False)
        body = perceptron(preparation.width, hidden, outputs, activation, 0.25, batch_norm=batch_norm)
        if whitened:
            body.insert(0, whitening.fitted(preparation(torch.from_numpy(inputs)), 0.03))
        network = Network(preparation, body, outputs)
        network.output_scale.uniform_(0.5, 2)
        network.output_offset.normal_()
        for layer in body:
            if isinstance(layer, nn.BatchNorm1d):
                for tensor in (layer.weight.data, layer.running_var):
                    assert tensor is not None
                    tensor.uniform_(0.2, 3)
                for tensor in (layer.bias.data, layer.running_mean):
                    assert tensor is not None
                    tensor.normal_()
    return network.eval()


@torch.no_grad()
def error_bound(layers: nn.Sequential, encoded: Tensor) -> Tensor:
    """How far float32 may be from the exact outputs of ``layers`` at most: rounding, summed as it goes through them.

    A sum of n products is off by n roundings of the sum of their sizes (Higham, Accuracy and Stability, 3.1); one more
    is that of the weight, one that of the bias.
    """
    values = encoded.double()
    error = torch.zeros_like(values)
    for layer in copy.deepcopy(layers).double():
        if isinstance(layer, nn.Linear):
            size, weights = values.abs() + error, layer.weight.abs()
            error = error @ weights.T
            error += (layer.in_features + 2) * ROUNDING * (size @ weights.T + layer.bias.abs())
            values = layer(values)
        else:
            values = layer(values)
            error = STEEPEST * error + 4 * ROUNDING * values.abs()
    return error


@pytest.mark.parametrize("columns", [NUMBERS, MIXED], ids=["numbers", "mixed"])
@pytest.mark.parametrize("whitened", [False, True], ids=["not whitened", "whitened"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_folded_network_is_the_network(
    activation: str, batch_norm: bool, whitened: bool, columns: tuple[Column, ...]
) -> None:
    inputs = rows_of(columns, 200)
    network = random_network(columns, inputs, activation, batch_norm=batch_norm, whitened=whitened)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw.double())
        layers = folded(network)
        encoded = network.prepare.encode(raw)
        apart, bound = (layers(encoded) - exact).abs(), error_bound(layers, encoded)
    assert bool((apart <= bound).all())
    assert bound.max() < 1e-3 * exact.abs().max()


@pytest.mark.parametrize("whitened", [False, True], ids=["not whitened", "whitened"])
def test_what_is_taken_and_given_in_float64_is_exact_to_the_spread_of_the_values(whitened: bool) -> None:
    """As double precision throughout would answer, to what float32 loses of the spread, not of the values."""
    inputs = rows_of(MIXED, 200).astype(np.float64)
    inputs[:, [0, 3]] += 1_700_000_000
    network = random_network(MIXED, inputs, whitened=whitened)
    network.output_scale = torch.tensor([600.0, 1.0, 1e-3], dtype=torch.float64)
    network.output_offset = torch.tensor([1_700_000_000.0, 2.0**40, -1e6], dtype=torch.float64)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw)
        whole, parts = network(raw), folded(network)(network.prepare.encode(raw))
    for found in (whole, parts):
        assert found.dtype == torch.float64
        bound = 1e-5 * network.output_scale + 2.0**-51 * exact.abs()
        assert bool(((found - exact).abs() <= bound).all())


def test_what_is_folded_has_nothing_left_to_fold() -> None:
    inputs = rows_of(NUMBERS, 50)
    layers = folded(random_network(NUMBERS, inputs, "gelu", batch_norm=True, whitened=True))
    assert [type(layer) for layer in layers] == [nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear]
    assert {parameter.dtype for parameter in layers.parameters()} == {torch.float32}


def test_folding_leaves_the_network_as_it_was() -> None:
    inputs = rows_of(NUMBERS, 50)
    network = random_network(NUMBERS, inputs, batch_norm=True)
    before = copy.deepcopy(network.state_dict())
    folded(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("mean", "deviation"), [(2010.0, 5.0), (-52.5, 0.01), (1e6, 1.0)])
def test_a_feature_far_from_zero_is_as_exact_as_any_other(mean: float, deviation: float) -> None:
    """A year, a latitude, a number of a customer: float32 holds them exactly, and so must what tells them apart."""
    inputs = rows_of(NUMBERS, 200)
    inputs[:, 2] = small.noise(200, 1)[:, 0] * deviation + mean
    network = random_network(NUMBERS, inputs)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw.double())
        apart = (folded(network)(network.prepare.encode(raw)) - exact).abs().max()
    assert apart < 1e-5


def test_the_network_is_layers_in_the_order_told() -> None:
    layers = perceptron(4, (8, 6), 3, "tanh", 0.5, batch_norm=True)
    block = [nn.Linear, nn.BatchNorm1d, nn.Tanh, Dropout]
    assert [type(layer) for layer in layers] == [*block, *block, nn.Linear]
    sizes = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert sizes == [(4, 8), (8, 6), (6, 3)]
    plain = perceptron(4, (8,), 3, "relu", 0.0, batch_norm=False)
    assert [type(layer) for layer in plain] == [nn.Linear, nn.ReLU, nn.Linear]


def test_a_layer_that_begins_locally_has_each_unit_at_a_place_of_its_own() -> None:
    torch.manual_seed(0)
    height, width, deviation = 30, 50, 3
    layer = nn.Linear(height * width, 400)
    lengths = layer.weight.detach().norm(dim=1)
    localise(layer, height, width, deviation)
    weight = layer.weight.detach()
    assert torch.allclose(weight.norm(dim=1), lengths)
    share = (weight / lengths[:, None]).square().view(-1, height, width)
    for axis, size in ((1, height), (2, width)):
        along, place = share.sum(dim=3 - axis), torch.arange(size)
        centre = along @ place.float()
        spread = (along * (place - centre[:, None]).square()).sum(dim=1).sqrt()
        # Of squared weights the deviation is smaller by the root of 2; at an edge half of them are cut off.
        assert spread.mean() == pytest.approx(deviation / 2**0.5, rel=0.15)
        assert spread.max() < 1.6 * deviation / 2**0.5
        assert (centre.min() < 0.1 * size, centre.max() > 0.9 * size) == (True, True)
        assert centre.std() == pytest.approx(size / 12**0.5, rel=0.15)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    values = torch.ones(401, 333)
    left = Dropout(share).train()(values)
    nearest = round(share * 256) / 256
    spread = (nearest * (1 - nearest) / values.numel()) ** 0.5
    assert abs((left == 0).float().mean() - nearest) < 5 * spread
    assert left.unique().tolist() == [0, pytest.approx(1 / (1 - nearest))]
    # no row and no unit is treated otherwise than the rest
    for axis in (0, 1):
        shares = (left == 0).float().mean(dim=axis)
        assert (shares - nearest).abs().max() < 5 * (nearest * (1 - nearest) / left.shape[axis]) ** 0.5


def test_dropout_draws_anew_each_time_and_rests_outside_training() -> None:
    torch.manual_seed(0)
    dropout, values = Dropout(0.5), torch.rand(3, 5)
    assert not torch.equal(dropout(torch.ones(20, 20)), dropout(torch.ones(20, 20)))
    assert dropout.eval()(values) is values
