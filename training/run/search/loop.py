"""The loop of a search: trials until there are enough or time is up, by one process or several."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from training.run.interrupt import Interrupts

FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)
_POLL_S: Final = 0.5


class Deadline:
    """Whether ``timeout_s`` seconds have passed since it was made; None: never."""

    def __init__(self, timeout_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end_s = None if timeout_s is None else clock() + timeout_s

    def is_over(self) -> bool:
        """Whether time is up."""
        return self._end_s is not None and self._clock() >= self._end_s

    def left_s(self) -> float | None:
        """Seconds that are left; None without a timeout."""
        return None if self._end_s is None else max(self._end_s - self._clock(), 0.0)


def run(
    study: Study,
    objective: Callable[[optuna.Trial], float],
    trials: int,
    is_over: Callable[[], bool],
    on_trial: Callable[[FrozenTrial], None],
) -> None:
    """Run trials until ``study`` has that many, those that others run included, or time ``is_over``.

    ``on_trial`` is called after each of them. Raises what ``objective`` raises, except `optuna.TrialPruned`.
    """
    fail_lost(study)
    while count(study, *FINISHED, TrialState.RUNNING) < trials and not is_over():
        study.optimize(objective, n_trials=1, callbacks=[lambda _, trial: on_trial(trial)])
        fail_lost(study)


def wait_for_others(
    study: Study,
    interrupts: Interrupts,
    is_over: Callable[[], bool],
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until no other process runs a trial of ``study``, or time ``is_over``."""
    told = False
    while (running := study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))) and not is_over():
        if not told:
            numbers = ", ".join(str(trial.number) for trial in running)
            say(f"waiting for other processes, which run trial {numbers}; Ctrl-C ends this")
            told = True
        pause(_POLL_S)
        interrupts.check()
        fail_lost(study)


def count(study: Study, *states: TrialState) -> int:
    """The number of trials in one of ``states``."""
    return len(study.get_trials(deepcopy=False, states=states))


def fail_lost(study: Study) -> None:
    """Note as failed the trials whose process is dead, as far as the storage can tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
