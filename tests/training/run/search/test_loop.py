"""The loop runs as many trials as the study shall have, whoever ran them, and ends in time."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from training.run.interrupt import Interrupts
from training.run.search import loop
from training.run.search.loop import Deadline


@pytest.fixture
def study() -> Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study()


def never() -> bool:
    return False


def run(
    study: Study, trials: int, objective: Callable[[optuna.Trial], float], is_over: Callable[[], bool]
) -> list[int]:
    told: list[int] = []
    loop.run(study, objective, trials, is_over, lambda trial: told.append(trial.number))
    return told


def pruned_if_odd(trial: optuna.Trial) -> float:
    if trial.number % 2:
        raise optuna.TrialPruned
    return 1.0


def test_pruned_trials_count_and_so_do_those_of_before(study: Study) -> None:
    assert run(study, 5, pruned_if_odd, never) == [0, 1, 2, 3, 4]
    assert run(study, 7, pruned_if_odd, never) == [5, 6]
    assert run(study, 7, pruned_if_odd, never) == []


def test_a_trial_that_another_process_runs_counts_and_one_that_failed_does_not(study: Study) -> None:
    study.ask()
    study.tell(study.ask(), state=TrialState.FAIL)
    assert run(study, 3, pruned_if_odd, never) == [2, 3]


def test_an_interrupted_trial_is_noted_as_failed_and_ends_the_loop(study: Study) -> None:
    def interrupted(trial: optuna.Trial) -> float:
        if trial.number == 1:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        run(study, 3, interrupted, never)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]


def test_it_ends_when_time_is_up(study: Study) -> None:
    now_s = 0.0

    def takes_a_second(_: optuna.Trial) -> float:
        nonlocal now_s
        now_s += 1
        return now_s

    deadline = Deadline(2.5, lambda: now_s)
    assert deadline.left_s() == 2.5
    assert run(study, 9, takes_a_second, deadline.is_over) == [0, 1, 2]
    assert deadline.left_s() == 0
    assert Deadline(None).left_s() is None
    assert not Deadline(None).is_over()


def test_it_waits_for_the_trials_of_others(study: Study) -> None:
    running, told = study.ask(), list[str]()

    def pause(_: float) -> None:
        study.tell(running, 1.0)

    loop.wait_for_others(study, Interrupts(), never, told.append, pause)
    assert told == ["waiting for other processes, which run trial 0; Ctrl-C ends this"]
    loop.wait_for_others(study, Interrupts(), never, told.append, pause)
    assert len(told) == 1


def test_it_does_not_wait_longer_than_there_is_time(study: Study) -> None:
    study.ask()
    loop.wait_for_others(study, Interrupts(), lambda: True, print)
