"""A study in its storage: begun, or gone on with if it is of the same data and options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState

from training.config import Config, flag_of
from training.data.dataset import Dataset
from training.data.split import Split
from training.errors import OptionError
from training.recipe import sizing
from training.run.search import spaces
from training.run.search.sampler import TrialSeeded
from training.run.search.spaces import Space

_SETTINGS: Final = "mlp-serving"  # the attribute of a study
DEFAULT: Final = "default"  # the attribute of the trial of the recipe
_STARTUP_TRIALS: Final = 5  # finished before any is pruned
_WARMUP_EPOCHS: Final = 20  # before, the learning rate is still low
_NOT_COMPARED: Final = ("device",)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched: the spaces of ``fields`` around ``config``, for which ``dataset`` and ``split``.

    ``others`` are settings to begin with as well, if they lie in the spaces, such as those of other recipes.
    """

    dataset: Dataset
    split: Split
    config: Config
    fields: tuple[str, ...]
    others: tuple[Config, ...] = ()

    @property
    def starts(self) -> list[dict[str, Any]]:
        """The parameters of the first trials, those of ``config`` before all others."""
        rows = self.split.train_rows
        first, *others = (sizing.resolved(each, rows) for each in (self.config, *self.others))
        return [spaces.values(first, self.fields), *spaces.starts(first, others, self.fields)]

    @property
    def parameters(self) -> dict[str, Space]:
        """The spaces by parameter."""
        return spaces.parameters(spaces.kind_of(self.dataset), self.fields)


def opened(storage: BaseStorage, name: str, place: str, plan: Plan) -> Study:
    """Open the study ``name``, made if there is none, with the default settings as its first trial.

    ``place`` is what the user knows of the storage. Raises `OptionError` if the study is of other data or options.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=storage,
        sampler=TrialSeeded(plan.config.seed),
        pruner=optuna.pruners.MedianPruner(_STARTUP_TRIALS, _WARMUP_EPOCHS),
        study_name=name,
        load_if_exists=True,
    )
    wanted = _settings(plan)
    if (found := study.user_attrs.get(_SETTINGS)) is None:
        if study.trials and _SETTINGS not in study.user_attrs:  # which another process may set just now
            raise OptionError(f"study {name!r} in {place} is not of mlp-tune; choose another name with --study")
        study.set_user_attr(_SETTINGS, wanted)
    elif differences := list(_differences(found, wanted)):
        raise OptionError(
            f"study {name!r} in {place} is of other settings: {'; '.join(differences)}; go on with the same, or begin "
            "another study with --study"
        )
    if not any(_holds_default(trial) for trial in study.get_trials(deepcopy=False)):
        first, *others = plan.starts
        study.enqueue_trial(first, user_attrs={DEFAULT: True})
        for each in others:
            study.enqueue_trial(each, skip_if_exists=True)
    return study


def _holds_default(trial: optuna.trial.FrozenTrial) -> bool:
    return bool(trial.user_attrs.get(DEFAULT)) and trial.state != TrialState.FAIL


def _settings(plan: Plan) -> dict[str, Any]:
    """What two processes must have in common to share a study, as JSON keeps it."""
    options = {name: value for name, value in asdict(plan.config).items() if name not in _NOT_COMPARED}
    searched = {name: str(space) for name, space in plan.parameters.items()}
    found = {"options": options, "search": searched, "data": _data(plan.dataset, plan.split)}
    settings: dict[str, Any] = json.loads(json.dumps(found))
    return settings


def _data(dataset: Dataset, split: Split) -> dict[str, Any]:
    digest = hashlib.sha256()
    for array in (dataset.inputs, dataset.targets, dataset.weights, split.train, split.validation):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
    return {
        "rows": len(dataset.inputs),
        "features": [column.name for column in dataset.columns],
        "targets": list(dataset.target_names),
        "values": digest.hexdigest(),
    }


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterable[str]:
    """What differs, as clauses; that the values of the data do only if nothing else of the data says so."""
    for name, value in wanted["options"].items():
        if found["options"].get(name) != value:
            yield f"{flag_of(name)} was {_shown(found['options'].get(name))} and is {_shown(value)}"
    if found["search"] != wanted["search"]:
        before, now = (
            ", ".join(f"{name} ({space})" for name, space in each["search"].items()) for each in (found, wanted)
        )
        yield f"it searches {before}, and not {now}"
    for name in ("rows", "features", "targets", "values"):
        before, now = found["data"].get(name), wanted["data"][name]
        if before != now:
            yield _data_difference(name, before, now)
            return


def _data_difference(name: str, before: Any, now: Any) -> str:
    if name == "rows":
        return f"the data had {before:,} rows and has {now:,}"
    if name == "values":
        return "the data has other values, or other rows to train and validate on"
    return f"the {name} were {_shown(before)} and are {_shown(now)}"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
