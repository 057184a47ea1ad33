"""From a study to what the card and the manifest say of it."""

from __future__ import annotations

import math
from typing import Final

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from training.config import Options
from training.errors import TrainingError
from training.release.search_result import SearchResult, Trial
from training.run.search.loop import FINISHED
from training.run.search.spaces import Range
from training.run.search.study import DEFAULT, Plan

_MIN_TRIALS: Final = 8  # complete ones; fewer say nothing on importance


def of(study: Study, storage: str, plan: Plan) -> SearchResult:
    """The result of ``study``, kept in ``storage``. Raises `TrainingError` if no trial is complete."""
    found = [trial for trial in study.get_trials(deepcopy=False, states=FINISHED) if trial.params]
    trials = [_trial(trial) for trial in found]
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        raise TrainingError(
            f"no trial of study {study.study_name!r} was trained to the end; give it more time with --timeout-s, or "
            "--trials"
        )
    defaults = [_trial(trial) for trial in found if trial.user_attrs.get(DEFAULT)]
    return SearchResult(
        study=study.study_name,
        storage=storage,
        trials=trials,
        best=min(complete, key=_loss),
        default=defaults[0] if defaults else None,
        importances=_importances(study) if len(complete) >= _MIN_TRIALS else {},
        choices={name: space.values for name, space in plan.parameters.items() if isinstance(space, Options)},
        logarithmic=frozenset(
            name for name, space in plan.parameters.items() if isinstance(space, Range) and space.log
        ),
    )


def _loss(trial: Trial) -> float:
    return math.inf if trial.validation_loss is None else trial.validation_loss


def _trial(trial: FrozenTrial) -> Trial:
    complete = trial.state == TrialState.COMPLETE
    loss = trial.value if complete else trial.intermediate_values.get(trial.last_step or -1)
    return Trial(trial.number, "complete" if complete else "pruned", trial.params, loss)


def _importances(study: Study) -> dict[str, float]:
    try:
        return optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):  # all trials have the same loss, or one parameter one value
        return {}
