"""Row weights in training, validation and calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training import small
from tests.training.data.errors import message_of
from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.model import calibration
from training.recipe.train import TrainResult, outputs_of, train_network

CONFIG = Config(hidden=(4,), epochs=10, batch_size=16, lr=0.01)


def trained(dataset: Dataset, weights: NDArray[np.float64] | None, config: Config = CONFIG) -> TrainResult:
    parts = split(dataset, config)
    return train_network(replace(dataset, weights=weights), parts, config, torch.device("cpu"), lambda _: None)


def state(result: TrainResult) -> list[torch.Tensor]:
    return list(result.network.state_dict().values())


def same(one: TrainResult, other: TrainResult) -> bool:
    return all(torch.allclose(*pair, atol=1e-6) for pair in zip(state(one), state(other), strict=True))


def flipped(dataset: Dataset, rows: NDArray[np.int64]) -> Dataset:
    targets = dataset.targets.copy()
    targets[rows] = 1 - targets[rows]
    return replace(dataset, targets=targets)


def noisy(rows: int = 200) -> Dataset:
    dataset = small.sides(rows)
    return flipped(dataset, np.flatnonzero(np.random.default_rng(1).random(rows) < 0.2))


@pytest.mark.parametrize("part", ["train", "validation"])
def test_rows_of_weight_0_do_not_count(part: str) -> None:
    """The split of both data sets is the same: it is given."""
    dataset = noisy()
    parts: Split = split(dataset, CONFIG)
    rows = getattr(parts, part)[::2]
    weights = np.ones(200)
    weights[rows] = 0
    changed = flipped(dataset, rows)

    def fit(data: Dataset, weights: NDArray[np.float64] | None) -> TrainResult:
        return train_network(replace(data, weights=weights), parts, CONFIG, torch.device("cpu"), lambda _: None)

    one, other = fit(dataset, weights), fit(changed, weights)
    assert same(one, other)
    assert [epoch.validation_loss for epoch in one.history] == [epoch.validation_loss for epoch in other.history]
    assert not same(fit(dataset, None), fit(changed, None))


def test_equal_weights_of_any_size_are_as_good_as_none() -> None:
    dataset = noisy()
    for size in (1e-30, 1, 1e30):
        assert same(trained(dataset, np.full(200, size)), trained(dataset, None))


def test_the_temperature_fits_the_weighted_rows() -> None:
    dataset, random = noisy(), np.random.default_rng(2)
    weights = random.exponential(1, 200)
    result = trained(dataset, weights)
    validation = split(dataset, CONFIG).validation
    result.network.output_scale.fill_(1)
    logits = outputs_of(result.network, dataset.inputs[validation])
    expected = calibration.temperature(logits, dataset.targets[validation], weights[validation])
    assert result.temperature == pytest.approx(expected, rel=1e-4)


def test_balanced_classes_have_the_same_total_weight() -> None:
    """Whatever the weights of their rows: a weight that only depends on the class has no effect then."""
    dataset = noisy()
    weights = np.where(dataset.targets == 1, 5.0, 0.5)
    config = replace(CONFIG, class_weight="balanced")
    parts = split(dataset, config)
    train_only = np.ones(200)
    train_only[parts.train] = weights[parts.train]
    one, other = trained(dataset, train_only, config), trained(dataset, None, config)
    assert [each.train_loss for each in one.history] == pytest.approx(
        [each.train_loss for each in other.history], rel=1e-3
    )


def test_a_balanced_class_without_weight_is_rejected() -> None:
    dataset = noisy()
    message = message_of(
        trained, dataset, (dataset.targets == 0).astype(float), replace(CONFIG, class_weight="balanced")
    )
    assert message == (
        "--class-weight is 'balanced', but all training rows of class 'bee' have the weight 0; give some of them a "
        "weight, or leave --class-weight out"
    )


def test_weights_count_for_numbers() -> None:
    inputs = small.noise(200, 2)
    targets = inputs[:, :1].copy()
    targets[::2] = -targets[::2]
    dataset = small.values(inputs, targets)
    weights = np.tile([0.0, 1.0], 100)
    result = trained(dataset, weights, replace(CONFIG, epochs=30, lr=0.02))
    predicted = outputs_of(result.network, inputs)[:, 0]
    assert np.corrcoef(predicted, inputs[:, 0])[0, 1] > 0.9
