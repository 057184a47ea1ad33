"""Real training on small data sets: accuracy, reproducibility, early stopping, calibration, errors."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from tests.training import small
from training.config import DEFAULT, RECIPES, Config
from training.data import bundled, categories
from training.data.dataset import Column, Dataset
from training.data.split import Split, split
from training.engine.trainer import Epoch, best_epoch
from training.errors import Diverged, OptionError
from training.recipe import train
from training.recipe.train import TrainResult
from training.release import evaluate

CPU = torch.device("cpu")


def config_of(**options: Any) -> Config:
    return Config(**{"hidden": (16,), "batch_size": 32, "epochs": 30, "lr": 0.01} | options)


def trained(dataset: Dataset, config: Config, parts: Split | None = None) -> TrainResult:
    return train.train_network(dataset, parts or split(dataset, config), config, CPU, lambda _: None)


def weights(found: TrainResult) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in found.network.state_dict().items()}


def validation_loss(found: TrainResult, dataset: Dataset, config: Config) -> float:
    """Validation loss of the network before calibration."""
    rows = split(dataset, config).validation
    logits = train.outputs_of(found.network, dataset.inputs[rows]).astype(np.float64) * found.temperature
    return -float(log_softmax(logits, axis=1)[np.arange(len(rows)), dataset.targets[rows]].mean())


def noise(rows: int = 200) -> Dataset:
    """Random labels: the longer the training, the worse the validation loss."""
    return small.classes(small.noise(rows, 8), np.random.default_rng(1).integers(0, 2, rows))


@pytest.mark.parametrize(
    ("name", "accuracy"), [("iris", 0.9), ("wine", 0.93), ("breast_cancer", 0.93), ("digits", 0.95)]
)
def test_bundled_data_sets_reach_the_expected_accuracy(name: str, accuracy: float) -> None:
    dataset, config = (
        bundled.load(name),
        Config(**RECIPES[DEFAULT]["table"] | {"hidden": (64,), "lr": 0.01, "epochs": 60}),
    )
    test = split(dataset, config).test
    outputs = train.outputs_of(trained(dataset, config).network, dataset.inputs[test])
    assert (outputs.argmax(axis=1) == dataset.targets[test]).mean() >= accuracy


def test_predictions_are_in_the_unit_of_each_target() -> None:
    """One target is far from zero and in thousands, the other in thousandths."""
    inputs = small.noise(600, 4)
    targets = np.stack([5e4 + 1e3 * inputs[:, 0] + 5e2 * inputs[:, 1], 1e-3 * inputs[:, 2]], axis=1)
    dataset = small.values(inputs, targets.astype(np.float32), ("price", "share"))
    config = config_of()
    test = split(dataset, config).test
    values = train.outputs_of(trained(dataset, config).network, inputs[test])
    assert evaluate.regression(values, dataset.targets[test])["r2"] > 0.95


def test_a_constant_target_is_predicted() -> None:
    dataset = small.values(small.noise(60, 3), np.full(60, 7.5, np.float32))
    found = trained(dataset, config_of(epochs=40))
    values = train.outputs_of(found.network, dataset.inputs)
    assert np.abs(values - 7.5).max() < 0.5


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_seed_alone_determines_the_network(batch_norm: bool) -> None:
    dataset = small.sides(120)
    config = config_of(batch_norm=batch_norm, dropout=0.2, epochs=3)
    torch.manual_seed(1)
    first = weights(trained(dataset, config))
    torch.manual_seed(2)
    assert weights(trained(dataset, config)) == first
    assert weights(trained(dataset, replace(config, seed=1), split(dataset, config))) != first


def test_the_global_random_state_and_threads_are_restored() -> None:
    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    trained(small.sides(60), config_of(epochs=2, dropout=0.2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_test_rows_are_not_used() -> None:
    dataset, config = small.sides(120), config_of(epochs=3)
    parts = split(dataset, config)
    first = weights(trained(dataset, config, parts))
    dataset.inputs[parts.test] = np.nan
    dataset.targets[parts.test] = 0
    assert weights(trained(dataset, config, parts)) == first


def test_validation_rows_affect_only_the_temperature() -> None:
    dataset, config = noise(), config_of(epochs=10)
    parts = split(dataset, config)
    first = trained(dataset, config, parts)
    dataset.targets[parts.validation] = 1 - dataset.targets[parts.validation]
    second = trained(dataset, config, parts)
    assert first.temperature != second.temperature
    scales = [found.network.output_scale.tolist() for found in (first, second)]
    assert scales == [[pytest.approx(1 / found.temperature)] * 2 for found in (first, second)]
    for found in (first, second):
        found.network.output_scale.fill_(1)
    assert weights(first) == weights(second)


def test_the_temperature_lowers_the_loss_of_an_overconfident_network() -> None:
    dataset, config = noise(), config_of(epochs=60, hidden=(64,))
    found = trained(dataset, config)
    rows = split(dataset, config).validation
    log_probabilities = log_softmax(train.outputs_of(found.network, dataset.inputs[rows]), axis=1)
    calibrated = -log_probabilities[np.arange(len(rows)), dataset.targets[rows]].mean()
    assert found.temperature > 2
    assert calibrated < validation_loss(found, dataset, config) - 0.1


def test_many_classes_are_calibrated_on_some_of_the_validation_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logits of all of them would take gigabytes, several times over."""
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(train.calibration, "temperature", lambda logits, *_: shapes.append(logits.shape) or 1.0)
    dataset, config = noise(), config_of(epochs=1)
    for values in (2**25, 20):
        monkeypatch.setattr(train, "_CALIBRATION_VALUES", values)
        trained(dataset, config)
    assert shapes == [(len(split(dataset, config).validation), 2), (10, 2)]


def test_patience_stops_early_and_restores_the_best_weights() -> None:
    dataset, config = noise(), config_of(epochs=200, hidden=(64,), patience=5)
    found = trained(dataset, config)
    best = best_epoch(found.history, config)
    losses = [epoch.validation_loss for epoch in found.history]
    assert best.validation_loss == min(losses)
    assert len(losses) == best.number + 5 < 200
    assert validation_loss(found, dataset, config) == pytest.approx(min(losses), abs=1e-6)
    assert losses[-1] > min(losses) + 1e-3


def test_without_patience_all_epochs_are_trained_and_the_last_weights_stay() -> None:
    dataset, config = noise(), config_of(epochs=40, hidden=(64,))
    found = trained(dataset, config)
    assert [epoch.number for epoch in found.history] == list(range(1, 41))
    assert best_epoch(found.history, config) is found.history[-1]
    assert validation_loss(found, dataset, config) == pytest.approx(found.history[-1].validation_loss, abs=1e-6)
    assert found.history[-1].validation_loss > min(epoch.validation_loss for epoch in found.history) + 1e-3


def test_on_epoch_gets_each_epoch() -> None:
    dataset, config = small.sides(60), config_of(epochs=4)
    epochs: list[Epoch] = []
    found = train.train_network(dataset, split(dataset, config), config, CPU, epochs.append)
    assert epochs == found.history
    assert all(epoch.duration_s > 0 and 0 <= epoch.validation_score <= 1 for epoch in epochs)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_learning_rate_that_is_too_high_raises_diverged(optimizer: str) -> None:
    """With AdamW only the last step of an epoch diverges: its mean training loss is still finite."""
    dataset = small.sides(200, features=10)
    config = config_of(optimizer=optimizer, lr=10, hidden=(64, 64, 64, 64), weight_decay=10, activation="identity")
    with pytest.raises(Diverged) as caught:
        trained(dataset, config)
    assert re.fullmatch(
        r"the (validation )?loss is (nan|inf) in epoch [12]; try a smaller --lr \(it is 10\), and check the data for "
        "values of very different size",
        str(caught.value),
    )


def test_a_validation_loss_that_is_not_finite_raises_diverged() -> None:
    dataset, config = small.sides(60), config_of(epochs=2)
    parts = split(dataset, config)
    dataset.inputs[parts.validation[0]] = np.inf
    with pytest.raises(Diverged) as caught:
        trained(dataset, config, parts)
    assert str(caught.value) == (
        "the validation loss is nan in epoch 1; try a smaller --lr (it is 0.01), and check the data for values of very "
        "different size"
    )


@pytest.mark.parametrize(("rows", "batch_size"), [(100, 65536), (101, 2), (7, 4), (101, 50)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_any_number_of_rows_can_be_trained_on(rows: int, batch_size: int, batch_norm: bool) -> None:
    dataset = small.classes(small.noise(rows, 3), np.arange(rows) % 2)
    found = trained(dataset, config_of(batch_size=batch_size, batch_norm=batch_norm, epochs=1))
    assert np.isfinite(train.outputs_of(found.network, dataset.inputs)).all()


def test_batches_of_one_row_work_without_batch_norm() -> None:
    dataset, config = small.sides(100), config_of(batch_size=1, epochs=2)
    found = trained(dataset, config)
    assert found.history[-1].validation_score > 0.7


@pytest.mark.parametrize("option", ["flip", "shift_pixels", "erase_pixels", "local_pixels", "teacher_epochs"])
def test_options_for_images_are_rejected_for_tables(option: str) -> None:
    with pytest.raises(OptionError) as caught:
        trained(small.sides(60), config_of(**{option: 1}))
    assert str(caught.value) == f"--{option.replace('_', '-')} is for images, and small has none"


def test_options_for_tables_are_rejected_for_images() -> None:
    dataset = small.classes(np.zeros((60, 36), np.uint8), np.arange(60) % 2, shape=(6, 6))
    with pytest.raises(OptionError) as caught:
        trained(dataset, config_of(numeric_bins=8))
    assert str(caught.value) == "--numeric-bins is for tables, and small has images"


def test_thousands_of_rare_levels_train_and_an_unseen_level_is_other() -> None:
    """A third of 1,500 rows have a level of their own; all share the vector of `other`."""
    codes = np.where(np.arange(1500) % 3 == 0, 100 + np.arange(1500), np.arange(1500) % 40).astype(np.float32)
    names = tuple(f"{code:04}" for code in range(1700))
    inputs = np.stack([codes, small.noise(1500, 1)[:, 0]], axis=1)
    columns = (Column("town", "categorical", categories=names), Column("size"))
    dataset = small.classes(inputs, (inputs[:, 0] % 2).astype(np.int64), columns=columns)
    config = config_of(numeric_bins=8)
    parts = split(dataset, config)
    grouped = categories.group_rare(dataset, parts.train)
    found = trained(grouped, config, parts)
    assert 20 <= len(grouped.columns[0].categories) <= 40
    known = parts.test[grouped.inputs[parts.test, 0] < len(grouped.columns[0].categories)]
    outputs = train.outputs_of(found.network, grouped.inputs[known])
    assert (outputs.argmax(axis=1) == grouped.targets[known]).mean() > 0.95
    other = np.array([[len(grouped.columns[0].categories), 0]], np.float32)
    assert np.isfinite(train.outputs_of(found.network, other)).all()


def test_images_are_augmented_for_training_only() -> None:
    """Horizontal and vertical bars anywhere: only a network trained on shifted ones can distinguish them."""
    random = np.random.default_rng(0)
    pixels = np.zeros((200, 6, 6), np.uint8)
    labels = np.arange(200) % 2
    for image, label, position in zip(pixels, labels, random.integers(0, 6, 200), strict=True):
        (image[position] if label else image[:, position])[:] = 255
    dataset = small.classes(pixels.reshape(200, 36), labels, shape=(6, 6))
    config = config_of(
        flip=True, shift_pixels=1, erase_pixels=2, local_pixels=2, whiten=0.03, epochs=40, batch_norm=True
    )
    test = split(dataset, config).test
    outputs = train.outputs_of(trained(dataset, config).network, dataset.inputs[test])
    assert (outputs.argmax(axis=1) == labels[test]).mean() > 0.9


def test_many_rows_have_the_outputs_of_single_rows() -> None:
    found = trained(small.sides(60), config_of(epochs=1))
    inputs = small.noise(10_000, 3)
    together = train.outputs_of(found.network, inputs)
    assert together.shape == (10_000, 2)
    for row in (0, 8191, 8192, 9999):
        assert train.outputs_of(found.network, inputs[row : row + 1])[0] == pytest.approx(together[row], abs=1e-6)
