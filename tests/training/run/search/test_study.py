"""A study begins with the default settings, and goes on only with the same data and options."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from tests.training.run.search.planned import CONFIG, opened, plan
from training.errors import OptionError
from training.run.search import study


def suggest(trial: optuna.Trial) -> float:
    return trial.suggest_float("lr", 1e-3, 1.5e-2, log=True) + trial.suggest_float("dropout", 0, 0.5)


def test_the_first_trial_has_the_default_settings() -> None:
    found = opened(plan())
    found.optimize(suggest, n_trials=2)
    first, second = found.trials
    assert (first.params, first.user_attrs) == ({"lr": 0.01, "dropout": 0.0}, {study.DEFAULT: True})
    assert second.params != first.params


def test_other_settings_are_tried_next_if_the_search_could_find_them() -> None:
    """Those with more epochs could not be found."""
    others = (replace(CONFIG, lr=0.002), replace(CONFIG, lr=0.003, epochs=99), replace(CONFIG))
    found = opened(replace(plan(), others=others))
    assert [trial.state for trial in found.trials] == [TrialState.WAITING] * 2
    found.optimize(suggest, n_trials=2)
    assert [trial.params["lr"] for trial in found.trials] == [0.01, 0.002]


def test_the_default_settings_suit_all_training_rows_of_a_streamed_table() -> None:
    sampled = plan("lr", "batch_size", lr=0.0, batch_size=0)
    streamed = replace(sampled, split=replace(sampled.split, streamed_rows=1_000_000))
    assert streamed.starts == [{"lr": 0.004, "batch_size": 1024}]


def test_opened_again_it_goes_on() -> None:
    storage = InMemoryStorage()
    opened(plan(), storage).optimize(suggest, n_trials=2)
    again = opened(plan(), storage)
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE] * 2


def test_default_settings_that_were_interrupted_are_tried_again() -> None:
    storage = InMemoryStorage()
    found = opened(plan(), storage)
    found.tell(found.ask(), state=TrialState.FAIL)
    opened(plan(), storage).optimize(suggest, n_trials=1)
    assert found.trials[1].params == {"lr": 0.01, "dropout": 0.0}


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (plan(epochs=13), "--epochs was 12 and is 13"),
        (plan(hidden=(8, 4)), "--hidden was 8 and is 8 4"),
        (plan(rows=201), "the data had 200 rows and has 201"),
        (
            plan("lr"),
            "it searches lr (0.001 to 0.015, by ratio), dropout (0 to 0.5), and not lr (0.001 to 0.015, by ratio)",
        ),
        (plan(seed=1), "--seed was 0 and is 1; the data has other values, or other rows to train and validate on"),
    ],
)
def test_another_plan_is_an_error_that_says_what_differs(changed: study.Plan, difference: str) -> None:
    storage = InMemoryStorage()
    opened(plan(), storage)
    with pytest.raises(OptionError) as error:
        opened(changed, storage)
    remedy = "go on with the same, or begin another study with --study"
    assert str(error.value) == f"study 's' in here is of other settings: {difference}; {remedy}"


def test_another_device_may_help() -> None:
    storage = InMemoryStorage()
    opened(plan(), storage)
    opened(plan(device="cpu"), storage)


def test_a_study_of_another_program_is_left_alone() -> None:
    storage = InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s").optimize(suggest, n_trials=1)
    with pytest.raises(OptionError, match=r"^study 's' in here is not of mlp-tune; choose another name with --study$"):
        opened(plan(), storage)
