"""One trial: a training run with settings that the study suggests, ended early if others do better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import optuna

from training.config import Config
from training.engine.trainer import Epoch
from training.errors import Diverged
from training.run import fit, progress
from training.run.interrupt import Interrupts
from training.run.observers import Observer, Pruned, Several, observed
from training.run.search import spaces
from training.run.search.spaces import Range, Space
from training.run.search.study import DEFAULT, Plan

EPOCHS: Final = "epochs"  # attributes of a trial
WHY: Final = "why"
_REPORT_EPOCHS: Final = 5  # a report takes about as long as an epoch of a small table


@dataclass(frozen=True, slots=True)
class Objective:
    """Trains the network of a trial and returns its validation loss.

    ``observer`` has a nested observer for each trial, ``watch`` another of any trial by its number. ``is_over`` says
    whether time is up, which ends all trials but the default one.
    """

    plan: Plan
    name: str
    command: str
    interrupts: Interrupts
    observer: Observer
    watch: Callable[[int], Observer]
    is_over: Callable[[], bool]

    def __call__(self, trial: optuna.Trial) -> float:
        """Raises `optuna.TrialPruned` if the trial is not worth its time, KeyboardInterrupt after a signal."""
        settings = {name: _suggested(trial, name, space) for name, space in self.plan.parameters.items()}
        config = replace(self.plan.config, **spaces.options(settings))
        reports = _Reports(trial, config, self.is_over)
        observer = Several([self.watch(trial.number), reports, self.observer.nested(f"trial {trial.number}")])
        plan, console = self.plan, progress.console(quiet=True)
        try:
            with observed(observer) as end:
                run = fit.train(
                    self.name, self.command, plan.dataset, plan.split, config, console, self.interrupts, observer
                )
                end.run = run
        except (Pruned, Diverged) as error:
            trial.set_user_attr(WHY, str(error))
            raise optuna.TrialPruned(str(error)) from error
        finally:
            trial.set_user_attr(EPOCHS, reports.epochs)
        return run.best_epoch.validation_loss


class _Reports(Observer):
    """Reports the validation loss to the study, and ends the trial if it is worse than most, or time is up.

    The loss is that of the weights which would be kept: the lowest one with ``config.patience``. The default settings
    are trained to the end, for the others to be compared with.
    """

    def __init__(self, trial: optuna.Trial, config: Config, is_over: Callable[[], bool]) -> None:
        self._trial = trial
        self._keeps_best = bool(config.patience)
        self._is_default = bool(trial.user_attrs.get(DEFAULT))
        self._is_over = is_over
        self._loss = math.inf
        self.epochs = 0

    def on_epoch(self, epoch: Epoch) -> None:
        """Raises `Pruned`."""
        self.epochs = epoch.number
        self._loss = min(self._loss, epoch.validation_loss) if self._keeps_best else epoch.validation_loss
        if self._is_over() and not self._is_default:
            raise Pruned("time was up")
        if epoch.number % _REPORT_EPOCHS == 0:
            self._trial.report(self._loss, epoch.number)
            if not self._is_default and self._trial.should_prune():
                raise Pruned(f"worse than most after {epoch.number} epochs")


def _suggested(trial: optuna.Trial, name: str, space: Space) -> Any:
    if not isinstance(space, Range):
        return trial.suggest_categorical(name, space.values)
    if space.integer:
        return trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)
