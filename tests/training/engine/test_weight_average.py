"""Averages of weights: what they forget, where they are used, and that training goes on without them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training import small
from training.config import Config
from training.data.split import split
from training.engine.trainer import Epoch
from training.engine.weight_average import WeightAverage
from training.recipe.train import TrainResult, train_network


def moved(steps: int) -> tuple[Tensor, WeightAverage]:
    """A value that was 0 before its steps and is their number after each of them, and its average."""
    value = torch.zeros(1)
    average = WeightAverage([value])
    for number in range(1, steps + 1):
        value.fill_(number)
        average.update()
    return value, average


@pytest.mark.parametrize("steps", [100, 1000, 10_000])
def test_it_is_over_about_the_last_fifth_of_the_steps(steps: int) -> None:
    """Late steps count most, so the mean age of what is averaged is a sixth of the steps."""
    value, average = moved(steps)
    with average.in_place():
        assert value.item() == pytest.approx(steps * 5 / 6, rel=0.02)
    assert value.item() == steps


def test_values_come_back_after_an_error() -> None:
    value, average = moved(10)
    with pytest.raises(ZeroDivisionError), average.in_place():
        _ = 1 / 0
    assert value.item() == 10


def test_it_goes_on_from_its_state() -> None:
    whole, average = moved(10)
    state = moved(5)[1].state()
    value = torch.zeros(1)
    resumed = WeightAverage([value])
    resumed.load(state)
    for number in range(6, 11):
        value.fill_(number)
        resumed.update()
    average.swap()
    resumed.swap()
    assert torch.equal(value, whole)


def trained(**options: Any) -> tuple[TrainResult, list[Epoch]]:
    dataset = small.sides(300)
    settings = {"hidden": (8,), "batch_size": 16, "epochs": 30, "lr": 0.05, "device": "cpu"}
    config = Config(**settings | options)
    epochs: list[Epoch] = []
    return train_network(dataset, split(dataset, config), config, torch.device("cpu"), epochs.append), epochs


def weights_of(found: TrainResult) -> Tensor:
    return nn.utils.parameters_to_vector(found.network.parameters())


@pytest.mark.parametrize("options", [{}, {"patience": 5}, {"batch_norm": True}])
def test_a_network_is_trained_alike_and_its_averages_are_kept(options: dict[str, Any]) -> None:
    (plain, epochs), (averaged, of_averages) = trained(**options), trained(average_weights=True, **options)
    assert epochs[0].train_loss == of_averages[0].train_loss
    if "patience" not in options:
        assert [each.train_loss for each in epochs] == [each.train_loss for each in of_averages]
    assert epochs[0].validation_loss != of_averages[0].validation_loss
    assert not torch.equal(weights_of(plain), weights_of(averaged))


def test_the_weights_of_the_best_epoch_are_averages() -> None:
    found, _ = trained(average_weights=True, patience=5, epochs=1)
    last, _ = trained(average_weights=True, epochs=1)
    assert torch.equal(weights_of(found), weights_of(last))
    assert not torch.equal(weights_of(last), weights_of(trained(epochs=1)[0]))
