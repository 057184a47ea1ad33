"""Training on tables: rare classes, losses for numbers, values not seen in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training import small
from training.config import Config
from training.data.dataset import Column, Dataset
from training.data.split import split
from training.errors import OptionError
from training.model.network import Network
from training.recipe import train

COLUMNS = (
    Column("age", missing=True),
    Column("job", "categorical", missing=True, categories=("cook", "nurse"), other=True),
)


def trained(dataset: Dataset, **options: Any) -> Network:
    config = Config(**{"hidden": (16,), "batch_size": 32, "epochs": 30, "lr": 0.01} | options)
    return train.train_network(dataset, split(dataset, config), config, torch.device("cpu"), lambda _: None).network


def outputs(network: Network, *rows: list[float]) -> NDArray[np.float32]:
    return train.outputs_of(network, np.array(rows, np.float32))


def test_inputs_unseen_in_training_contribute_nothing() -> None:
    random = np.random.default_rng(0)
    inputs = np.stack([random.normal(40, 10, 200), random.integers(0, 2, 200)], axis=1).astype(np.float32)
    dataset = small.classes(inputs, (inputs[:, 0] > 40).astype(np.int64), columns=COLUMNS)
    network = trained(dataset)
    mean = float(network.preprocess.fill[0])
    no_category = 9.0  # a code outside the one-hot encoding
    known, unknown, without, no_age, average = outputs(
        network, [30, 0], [30, 2], [30, np.nan], [np.nan, no_category], [mean, no_category]
    )
    (neither,) = outputs(network, [30, no_category])
    # Up to rounding: the order of summation depends on the position of a row in its batch.
    assert unknown == pytest.approx(neither, abs=1e-5)
    assert without == pytest.approx(neither, abs=1e-5)
    assert known != pytest.approx(neither, abs=1e-2)
    assert no_age == pytest.approx(average, abs=1e-5)


@pytest.mark.parametrize(("class_weight", "expected"), [("none", 0.1), ("balanced", 0.5)])
def test_a_class_without_signal_has_its_weighted_frequency(class_weight: str, expected: float) -> None:
    dataset = small.classes(small.noise(2000, 2), (np.arange(2000) % 10 == 0).astype(np.int64))
    logits = torch.from_numpy(train.outputs_of(trained(dataset, class_weight=class_weight), dataset.inputs))
    assert float(torch.softmax(logits, dim=1)[:, 1].mean()) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("loss", "expected"), [("auto", 1.0), ("squared_error", 1.0), ("absolute_error", np.log(2)), ("huber", 0.85)]
)
def test_each_loss_predicts_its_own_average(loss: str, expected: float) -> None:
    """The mean, the median, or a value between them, of exponentially distributed numbers."""
    targets = np.random.default_rng(1).exponential(1, 4000).astype(np.float32)
    dataset = small.values(small.noise(4000, 1), targets)
    values = train.outputs_of(trained(dataset, loss=loss), dataset.inputs)
    assert float(values.mean()) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(
    ("classifies", "options", "message"),
    [
        (True, {"loss": "huber"}, "--loss is 'huber', which is for numbers, but small has classes; leave it out"),
        (
            False,
            {"loss": "log_loss"},
            "--loss is 'log_loss', which is for classes, but small has numbers to predict; leave it out",
        ),
        (
            False,
            {"class_weight": "balanced"},
            "--class-weight is 'balanced', which is for classes, but small has numbers to predict; leave it out",
        ),
        (
            False,
            {"label_smoothing": 0.1},
            "--label-smoothing is 0.1, which is for classes, but small has numbers to predict; leave it out",
        ),
    ],
)
def test_an_option_that_does_not_fit_the_target_is_rejected(
    classifies: bool, options: dict[str, Any], message: str
) -> None:
    dataset = small.sides(60) if classifies else small.values(small.noise(60, 2), np.arange(60, dtype=np.float32))
    with pytest.raises(OptionError) as caught:
        trained(dataset, **options)
    assert str(caught.value) == message
