"""Folding changes only rounding, for every kind of network; local initialisation; dropout."""

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
from training.model import features, preprocess, whitening
from training.model.features import Features
from training.model.network import ACTIVATIONS, Dropout, Network, fold, init_local, perceptron

ROUNDING = 2.0**-24  # half a unit of least precision of float32
STEEPEST = 1.13  # the largest derivative of any activation, GELU

NUMBERS = tuple(Column(f"f{index}") for index in range(5))
MIXED = (
    Column("age", missing=True),
    Column("member", "boolean", missing=True),
    Column("job", "categorical", categories=("cook", "nurse"), other=True),
    Column("height"),
)


def rows_of(columns: Sequence[Column], rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Random raw rows float32 (rows, features); a quarter of the values that may be missing are NaN."""
    random = np.random.default_rng(seed)
    inputs = random.normal(3, 2, (rows, len(columns))).astype(np.float32)
    for index, column in enumerate(columns):
        if column.type == "boolean":
            inputs[:, index] = random.integers(0, 2, rows)
        if column.type == "categorical":
            inputs[:, index] = random.integers(0, column.codes, rows)
        if column.missing:
            inputs[random.random(rows) < 0.25, index] = np.nan
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
    bins: int = 0,
) -> Network:
    """A network as if trained on ``inputs``: no parameter has a neutral value."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first: nn.Module = nn.Identity()
        if any(column.type == "categorical" for column in columns) or bins:
            preparation, first = features.fitted(columns, inputs, np.arange(len(inputs)), bins)
        else:
            preparation = preprocess.fitted(columns, inputs, together=False)
        prepared = first(preparation(torch.from_numpy(inputs))).detach()
        body = perceptron(prepared.shape[1], hidden, outputs, activation, 0.25, batch_norm=batch_norm)
        if whitened:
            body.insert(0, whitening.fitted(prepared, 0.03))
        if isinstance(first, Features):
            body.insert(0, first)
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
    """An upper bound on the float32 rounding error of the outputs of ``layers``, propagated layer by layer.

    The error of a sum of n products is at most n roundings of the sum of their absolute values (Higham, Accuracy and
    Stability, 3.1), plus one for the weight and one for the bias.
    """
    values = encoded.double()
    error = torch.zeros_like(values)
    for layer in copy.deepcopy(layers).double():
        if isinstance(layer, nn.Linear):
            size, weights = values.abs() + error, layer.weight.abs()
            error = error @ weights.T
            error += (layer.in_features + 2) * ROUNDING * (size @ weights.T + layer.bias.abs())
            values = layer(values)
        elif isinstance(layer, Features):
            values = layer(values)
            error = 4 * ROUNDING * values.abs()
        else:
            values = layer(values)
            error = STEEPEST * error + 4 * ROUNDING * values.abs()
    return error


@pytest.mark.parametrize("columns", [NUMBERS, MIXED], ids=["numbers", "mixed"])
@pytest.mark.parametrize("whitened", [False, True], ids=["not whitened", "whitened"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_folded_network_equals_the_network(
    activation: str, batch_norm: bool, whitened: bool, columns: tuple[Column, ...]
) -> None:
    inputs = rows_of(columns, 200)
    network = random_network(columns, inputs, activation, batch_norm=batch_norm, whitened=whitened)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw.double())
        layers = fold(network)
        encoded = network.preprocess.encode(raw)
        apart, bound = (layers(encoded) - exact).abs(), error_bound(layers, encoded)
    assert bool((apart <= bound).all())
    assert bound.max() < 1e-3 * exact.abs().max()


@pytest.mark.parametrize("whitened", [False, True], ids=["not whitened", "whitened"])
def test_float64_inputs_and_outputs_are_exact_relative_to_their_spread(whitened: bool) -> None:
    """Compared with float64 throughout; float32 may lose digits of the spread, not of the values."""
    inputs = rows_of(MIXED, 200).astype(np.float64)
    inputs[:, [0, 3]] += 1_700_000_000
    network = random_network(MIXED, inputs, whitened=whitened)
    network.output_scale = torch.tensor([600.0, 1.0, 1e-3], dtype=torch.float64)
    network.output_offset = torch.tensor([1_700_000_000.0, 2.0**40, -1e6], dtype=torch.float64)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw)
        whole, parts = network(raw), fold(network)(network.preprocess.encode(raw))
    for found in (whole, parts):
        assert found.dtype == torch.float64
        bound = 1e-5 * network.output_scale + 2.0**-51 * exact.abs()
        assert bool(((found - exact).abs() <= bound).all())


def test_only_linear_layers_and_activations_are_left() -> None:
    inputs = rows_of(NUMBERS, 50)
    layers = fold(random_network(NUMBERS, inputs, "gelu", batch_norm=True, whitened=True))
    assert [type(layer) for layer in layers] == [nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear]
    assert {parameter.dtype for parameter in layers.parameters()} == {torch.float32}


def test_folding_does_not_change_the_network() -> None:
    inputs = rows_of(NUMBERS, 50)
    network = random_network(NUMBERS, inputs, batch_norm=True)
    before = copy.deepcopy(network.state_dict())
    fold(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("mean", "deviation"), [(2010.0, 5.0), (-52.5, 0.01), (1e6, 1.0)])
def test_a_feature_far_from_zero_is_as_exact_as_any_other(mean: float, deviation: float) -> None:
    """A year, a latitude, a customer number: float32 is exact for the values, so their differences must survive."""
    inputs = rows_of(NUMBERS, 200)
    inputs[:, 2] = small.noise(200, 1)[:, 0] * deviation + mean
    network = random_network(NUMBERS, inputs)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        exact = copy.deepcopy(network).double()(raw.double())
        apart = (fold(network)(network.preprocess.encode(raw)) - exact).abs().max()
    assert apart < 1e-5


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
