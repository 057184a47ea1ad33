"""Schedules, summaries, and errors that name another estimator."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from training import MLPClassifier, MLPRegressor
from training.engine import schedule

INPUTS, TARGETS = make_classification(90, 4, random_state=0)
QUICK: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 4, "batch_size": 20, "random_state": 0}


def rates(**options: Any) -> list[float]:
    """The learning rate after each epoch."""
    found: list[float] = []
    MLPClassifier(**QUICK | options, callbacks=[lambda model, _: found.append(model._optimizer.learning_rate)]).fit(
        INPUTS, TARGETS
    )
    return found


class TestSchedules:
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.parametrize("name", ["one_cycle", "cosine"])
    def test_the_rate_of_each_step(self, solver: str, name: str) -> None:
        expected = schedule.BY_NAME[name](0.01, 4 * 5)  # the last of 5 batches is smaller
        found = rates(solver=solver, schedule=name, learning_rate_init=0.01)
        assert found == pytest.approx([expected(step) for step in (4, 9, 14, 19)])

    def test_one_cycle_is_torchs(self) -> None:
        weights = [torch.nn.Parameter(torch.zeros(1))]
        optimizer = torch.optim.SGD(weights, lr=0.1)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=20)
        expected = []
        for _ in range(20):
            expected.append(theirs.get_last_lr()[0])
            optimizer.step()
            theirs.step()
        assert [*map(schedule.one_cycle(0.01, 20), range(20))] == pytest.approx(expected)

    def test_cosine_is_torchs(self) -> None:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
        expected = []
        for _ in range(20):
            expected.append(theirs.get_last_lr()[0])
            optimizer.step()
            theirs.step()
        assert [*map(schedule.cosine(0.01, 20), range(20))] == pytest.approx(expected)

    def test_its_last_epoch_is_no_failure_to_converge(self) -> None:
        rates(schedule="cosine")
        with pytest.warns(ConvergenceWarning):
            rates()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"solver": "lbfgs"}, "schedule needs mini-batches, and the solver 'lbfgs' has none"),
            ({"solver": "sgd", "learning_rate": "adaptive"}, "and both set the rate; leave one of them out"),
            ({"schedule": "step"}, "schedule is 'step', expected None, or one of 'one_cycle', 'cosine'"),
        ],
    )
    def test_what_excludes_it(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            MLPClassifier(**{"schedule": "cosine", **options}).fit(INPUTS, TARGETS)

    def test_partial_fit_has_none(self) -> None:
        with pytest.raises(ValueError, match="partial_fit does not support schedule='cosine'"):
            MLPClassifier(schedule="cosine").partial_fit(INPUTS, TARGETS, classes=[0, 1])


class TestOtherTypes:
    @pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
    @pytest.mark.parametrize(
        ("column", "message"),
        [([None, 1.0, 2.0], "Input X contains NaN"), (["a", "b", "c"], "could not convert string to float: 'a'")],
    )
    def test_an_error_names_who_takes_them(self, estimator: Any, column: list[Any], message: str) -> None:
        remedy = "TableClassifier, TableRegressor and train_table take texts, categories and missing values as they are"
        with pytest.raises(ValueError, match=rf"(?s){re.escape(message)}.*\n{remedy}$"):
            estimator().fit(pd.DataFrame({"odd": column}), [0, 1, 0])

    def test_other_errors_stay_as_they_are(self) -> None:
        with pytest.raises(ValueError, match=r"(?s)^Input X contains infinity(?!.*TableClassifier)"):
            MLPClassifier().fit(np.array([[np.inf], [1.0]]), [0, 1])
        with pytest.raises(ValueError, match=r"(?s)^could not convert string to float(?!.*TableClassifier)"):
            MLPRegressor().fit([[1.0], [2.0]], ["a", "b"])


def test_summary() -> None:
    model = MLPClassifier(**QUICK, schedule="cosine", early_stopping=True).fit(INPUTS, TARGETS)
    text = model.summary()
    assert text.startswith("MLPClassifier: 4 features\n  layer   shape  parameters")
    assert "Linear  4 → 8" in text
    assert re.search(r"trained 4 epochs in \d+\.\d\d s", text)
    assert re.search(r"training loss \d\.\d{4}, validation loss \d\.\d{4}, accuracy \d\.\d{4}$", text)
