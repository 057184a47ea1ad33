"""A trial is a training run like any other, unless it is pruned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import TrialState

from tests.training.run.search.planned import opened, plan
from training.engine import trainer
from training.engine.trainer import Epoch
from training.recipe.train import train_network
from training.run.interrupt import Interrupts
from training.run.observers import End, Observer, Start
from training.run.search import result, spaces
from training.run.search.study import Plan
from training.run.search.trials import EPOCHS, WHY, Objective


class Told(Observer):
    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def on_start(self, start: Start) -> None:
        self.told.append(start.config)

    def on_end(self, end: End) -> None:
        self.told.append(end.status)

    def nested(self, name: str) -> Observer:
        self.told.append(name)
        return self


def objective(plan: Plan, observer: Observer, is_over: bool = False) -> Objective:
    return Objective(plan, "small", "the tests", Interrupts(), observer, lambda _: Observer(), lambda: is_over)


def test_its_value_is_the_validation_loss_of_the_weights_that_are_kept() -> None:
    wanted, told = plan("lr", "hidden", "activation", epochs=6, hidden=(32,)), list[Any]()
    study = opened(wanted)
    study.optimize(objective(wanted, Told(told)), n_trials=2)
    for trial, config in zip(study.trials, told[1::3], strict=True):
        assert config == replace(wanted.config, **spaces.options(trial.params))
        history = train_network(wanted.dataset, wanted.split, config, torch.device("cpu"), lambda _: None).history
        assert trial.value == trainer.best_epoch(history, config).validation_loss
        assert trial.user_attrs[EPOCHS] == len(history)
        assert trial.intermediate_values == {5: min(epoch.validation_loss for epoch in history[:5])}
    assert told[::3] == ["trial 0", "trial 1"]
    assert told[2::3] == ["finished", "finished"]


def test_one_that_is_worse_than_most_is_pruned_and_the_default_never_is() -> None:
    wanted, told = plan("lr", epochs=40), list[Any]()
    study = opened(wanted)
    for _ in range(5):
        finished = study.ask()
        finished.suggest_float("lr", 1e-3, 1.5e-2, log=True)
        finished.report(0.0, 20)
        study.tell(finished, 0.0)
    study.enqueue_trial({"lr": 1e-3}, user_attrs={"default": True})
    study.enqueue_trial({"lr": 1e-3})
    study.optimize(objective(wanted, Told(told)), n_trials=2)
    default, other = study.trials[-2:]
    assert default.state == TrialState.COMPLETE
    assert (other.state, other.user_attrs[WHY]) == (TrialState.PRUNED, "worse than most after 20 epochs")
    assert told[-1] == "pruned"


def test_time_that_is_up_ends_all_but_the_default() -> None:
    wanted = plan()
    study = opened(wanted)
    study.optimize(objective(wanted, Observer(), is_over=True), n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert study.trials[1].user_attrs == {WHY: "time was up", EPOCHS: 1}


def test_one_that_diverges_is_pruned_and_the_search_goes_on() -> None:
    wanted = plan("dropout", lr=10.0, optimizer="sgd", activation="identity", hidden=(8, 8, 8))
    study = opened(wanted)
    study.optimize(objective(wanted, Observer()), n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED] * 2
    assert study.trials[0].user_attrs[WHY].startswith("the ")
    with pytest.raises(Exception, match=r"^no trial of study 's' was trained to the end; "):
        result.of(study, "here", wanted)


def test_a_signal_ends_it() -> None:
    class Stopped(Observer):
        def on_epoch(self, epoch: Epoch) -> None:
            assert epoch.number == 1
            raise KeyboardInterrupt

    wanted = plan()
    study = opened(wanted)
    whole = Objective(wanted, "small", "x", Interrupts(), Observer(), lambda _: Stopped(), lambda: False)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(whole, n_trials=1)
    assert study.trials[0].state == TrialState.FAIL


def test_the_result_has_the_best_complete_trial_and_what_mattered() -> None:
    wanted = plan("lr", "hidden", "activation", hidden=(32,))
    study = opened(wanted)

    def fake(trial: optuna.Trial) -> float:
        trial.suggest_categorical("activation", ("relu", "gelu", "silu"))
        trial.suggest_int("hidden_layers", 1, 3)
        trial.report(trial.number / 100, 5)
        if trial.number == 11:
            raise optuna.TrialPruned
        return abs(trial.suggest_float("lr", 1e-3, 1.5e-2, log=True) - 0.01)

    study.optimize(fake, n_trials=20)
    found = result.of(study, "here", wanted)
    assert len(found.trials) == 20
    assert (found.pruned, found.trials[11].validation_loss) == (1, 0.11)
    assert found.best.number == study.best_trial.number == 0 == found.default.number  # type: ignore[union-attr]
    assert next(iter(found.importances)) == "lr"
    assert sum(found.importances.values()) == pytest.approx(1)
    assert found.logarithmic == {"lr", "hidden_units"}
    assert found.choices == {"activation": ("relu", "gelu", "silu")}
