"""Folding changes only rounding, for every kind of network."""

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
from training.model.ensemble import MeanProbabilities
from training.model.features import Features
from training.model.folded import fold
from training.model.network import ACTIVATIONS, Network, ensemble, perceptron

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


def random_network(  # noqa: PLR0913
    columns: Sequence[Column],
    inputs: np.ndarray[Any, Any],
    activation: str = "relu",
    *,
    batch_norm: bool = False,
    whitened: bool = False,
    hidden: Sequence[int] = (16, 8),
    outputs: int = 3,
    bins: int = 0,
    members: int = 1,
    classifies: bool = True,
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
        sizes = (prepared.shape[1], hidden, outputs, activation, 0.25)
        if members > 1:
            body = ensemble(members, *sizes, classifies=classifies)
        else:
            body = perceptron(*sizes, batch_norm=batch_norm)
        if whitened:
            body.insert(0, whitening.fitted(prepared, 0.03))
        if isinstance(first, Features):
            body.insert(0, first)
        network = Network(preparation, body, outputs)
        if isinstance(body[-1], MeanProbabilities):
            body[-1].inverse_temperature.fill_(0.7)
        else:
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


@pytest.mark.parametrize("classifies", [True, False], ids=["classes", "numbers"])
@pytest.mark.parametrize("whitened", [False, True], ids=["not whitened", "whitened"])
def test_a_folded_ensemble_equals_the_ensemble(whitened: bool, classifies: bool) -> None:
    inputs = rows_of(MIXED, 200)
    network = random_network(MIXED, inputs, "tanh", whitened=whitened, members=4, classifies=classifies, bins=3)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        outputs, found = network(raw), fold(network)(network.preprocess.encode(raw))
    expected = torch.softmax(outputs, dim=1) if classifies else outputs
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_folded_ensemble_averages_numbers_in_float64_units() -> None:
    inputs = rows_of(NUMBERS, 50)
    network = random_network(NUMBERS, inputs, members=4, classifies=False)
    network.output_scale = torch.full((3,), 600.0, dtype=torch.float64)
    network.output_offset = torch.full((3,), 1_700_000_000.0, dtype=torch.float64)
    raw = torch.from_numpy(inputs)
    with torch.no_grad():
        expected, found = network(raw), fold(network)(network.preprocess.encode(raw))
    assert found.dtype == torch.float64
    assert (found - expected).abs().max() < 1e-2


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
