"""What a trial tries depends on the seed, its number and the trials before it, not on who runs it or when."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from training.run.search.sampler import TrialSeeded


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("kind", ("a", "b"))
    return (trial.suggest_float("x", -1, 1) - 0.3) ** 2 + (kind == "a")


def tried(*counts: int, seed: int = 0) -> list[dict[str, Any]]:
    """The settings of a study that is opened anew for each of ``counts`` trials."""
    storage = optuna.storages.InMemoryStorage()
    for count in counts:
        study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True, sampler=TrialSeeded(seed))
        study.optimize(objective, n_trials=count)
    return [trial.params for trial in study.trials]


def test_a_search_that_goes_on_is_as_one_without_interruption() -> None:
    whole = tried(25)
    assert tried(3, 9, 13) == whole
    assert tried(25, seed=1) != whole
    assert len({params["x"] for params in whole}) == 25


def test_it_searches_as_tpe_does() -> None:
    """Past the random trials it is near the minimum more often than by chance, 1 time in 7."""
    after = tried(40)[25:]
    assert sum(params["kind"] == "b" and abs(params["x"] - 0.3) < 0.3 for params in after) > 5
