"""Permutation importance: the figures of theory and of scikit-learn, units, weights, and a bounded cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.training import small
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine.trainer import Epoch
from training.release import evaluate, importance
from training.release.training_run import TrainingRun

ROWS = 1500


class Formula(nn.Module):
    """A network that computes ``formula``, and counts the rows it is given; it has ``weights`` parameters."""

    def __init__(self, formula: Callable[[Tensor], Tensor], weights: int) -> None:
        super().__init__()
        self.formula, self.rows = formula, 0
        self.weights = nn.Parameter(torch.zeros(weights))
        self.preprocess = nn.Identity()
        self.preprocess.input_dtype = torch.float64  # type: ignore[assignment]

    def forward(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        return self.formula(inputs)


def run_of(dataset: Dataset, formula: Callable[[Tensor], Tensor], *, weights: int = 1) -> TrainingRun:
    """A run whose rows are all test rows."""
    epoch = Epoch(1, 0.0, 0.0, 0.0, 0.0)
    rows = np.arange(len(dataset.inputs))
    return TrainingRun(
        name="small",
        command="a test",
        dataset=dataset,
        split=Split(rows[:0], rows[:0], rows),
        network=Formula(formula, weights),  # type: ignore[arg-type]
        hidden=(),
        activation="relu",
        output_activation="softmax" if dataset.classifies else "identity",
        config={},
        seed=0,
        device="cpu",
        history=[epoch],
        best_epoch=epoch,
        fit_s=0.0,
    )


def rows_seen(run: TrainingRun) -> int:
    network: Any = run.network
    return int(network.rows)


def test_the_mean_absolute_error_grows_as_theory_says() -> None:
    inputs = small.noise(ROWS, 3)
    factors = torch.tensor([0.0, 1.0, -5.0]).double()
    run = run_of(small.values(inputs, inputs @ factors.numpy()), lambda rows: (rows @ factors)[:, None])
    found = importance.of(run, [0, 1, 2])
    assert found is not None
    assert (found.metric, found.rows, found.repeats) == ("mae", ROWS, importance.REPEATS)
    assert found.score == pytest.approx(0, abs=1e-5)
    assert [each.name for each in found.features] == ["f2", "f1", "f0"]
    # The difference of two normal variables is normal: its mean absolute value is 2 / sqrt(pi).
    for each, factor in zip(found.features, (5, 1, 0), strict=True):
        assert each.mean == pytest.approx(factor * 2 / np.sqrt(np.pi), rel=0.05, abs=1e-5)
        assert each.std <= 0.05 * factor + 1e-5


def logits(rows: Tensor) -> Tensor:
    return torch.stack([rows[:, 0], torch.zeros(len(rows))], dim=1)


def test_the_log_loss_is_that_of_shuffled_rows() -> None:
    inputs = small.noise(300, 2)
    labels = (inputs[:, 0] < 0).astype(np.int64)
    found = importance.of(run_of(small.classes(inputs, labels), logits), [1, 0])
    assert found is not None

    def loss(column: NDArray[np.float32]) -> float:
        return evaluate.log_loss(torch.softmax(logits(torch.from_numpy(column[:, None])), 1).numpy(), labels)

    random = np.random.default_rng(1)
    shuffled = [loss(random.permutation(inputs[:, 0])) for _ in range(50)]
    first, second = found.features
    assert (found.metric, first.name, second.name) == ("log_loss", "f0", "f1")
    assert found.score == pytest.approx(loss(inputs[:, 0]), rel=1e-6)
    assert first.mean == pytest.approx(np.mean(shuffled) - loss(inputs[:, 0]), abs=3 * np.std(shuffled))
    assert (second.mean, second.std) == (0, 0)


def test_several_targets_have_no_unit() -> None:
    inputs = small.noise(ROWS, 2)
    targets = inputs * np.array([1.0, 1000.0], np.float32)
    run = run_of(small.values(inputs, targets, ("metres", "grams")), lambda rows: rows * torch.tensor([1.0, 1000.0]))
    found = importance.of(run, [0, 1])
    assert found is not None
    assert (found.metric, found.score) == ("r2", pytest.approx(1))
    assert [each.mean for each in found.features] == pytest.approx([1, 1], rel=0.05)  # half of 1 - R², which is 2


def test_rows_of_weight_0_do_not_count() -> None:
    inputs = small.noise(400, 2)
    flag = inputs[:, 1] > 0
    run = run_of(small.values(inputs, inputs[:, 0] * flag), lambda rows: (rows[:, 0] * (rows[:, 1] > 0))[:, None])
    weighted = replace(run, dataset=replace(run.dataset, weights=np.where(flag, 0.0, 1.0)))
    found = importance.of(weighted, [0, 1])
    assert found is not None
    assert {each.name: each.mean == 0 for each in found.features} == {"f0": True, "f1": False}
    nothing = replace(run, dataset=replace(run.dataset, weights=np.zeros(400)))
    assert importance.of(nothing, [0, 1]) == importance.of(run, [0, 1])


def test_missing_values_are_no_obstacle_and_the_rows_stay_as_they_are() -> None:
    inputs = small.noise(200, 2)
    inputs[::3, 0] = np.nan
    before = inputs.copy()
    dataset = small.values(inputs, np.nan_to_num(inputs[:, 0]))
    found = importance.of(run_of(dataset, lambda rows: torch.nan_to_num(rows[:, :1])), [0, 1])
    assert found is not None
    assert found.features[0].mean > 0
    np.testing.assert_array_equal(inputs, before)


@pytest.mark.parametrize(
    ("weights", "columns", "rows"), [(1, 3, 2000), (1, 60, 2000), (400_000, 10, 150), (50_000_000, 60, 100)]
)
def test_the_cost_is_bounded(weights: int, columns: int, rows: int) -> None:
    inputs = small.noise(3000, columns)
    run = run_of(small.values(inputs, inputs[:, 0]), lambda rows: rows[:, :1], weights=weights)
    found = importance.of(run, range(columns))
    assert found is not None
    shown = min(columns, importance.MAX_COLUMNS)
    assert (found.rows, len(found.features)) == (rows, shown)
    assert rows_seen(run) <= rows * (shown * importance.REPEATS + 2)


@pytest.mark.parametrize("columns", [0, 2001])
def test_without_an_order_of_the_columns_there_is_none(columns: int) -> None:
    run = run_of(small.values(small.noise(5, 1), small.noise(5, 1)), lambda rows: rows)
    assert importance.of(run, range(columns)) is None
