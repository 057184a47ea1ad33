"""What the user sees of a search: a line for each trial, and at a terminal a bar with the best so far and time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from training.release.search_section import in_words
from training.run.observers import Observer
from training.run.search.loop import FINISHED, count
from training.run.search.trials import EPOCHS, WHY

if TYPE_CHECKING:
    from training.engine.trainer import Epoch


class Watch:
    """Follows a ``study`` of ``trials`` trials; ``left_s`` gives the seconds until its timeout, if it has one."""

    def __init__(self, study: Study, trials: int, left_s: Callable[[], float | None], console: Console) -> None:
        self._study = study
        self._trials = trials
        self._left_s = left_s
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._durations_s: list[float] = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar, at a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("trial {task.completed}/{task.total}"),
            BarColumn(20),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[now]}"),
            TextColumn("{task.fields[best]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        )
        with Progress(*columns, console=self._console, transient=True, expand=True) as bar:
            self._bar = bar
            self._task = bar.add_task("", total=self._trials, best="", left="", now="")
            self._update("")
            try:
                yield
            finally:
                self._bar = None

    def observer(self, number: int) -> Observer:
        """An observer that shows the epochs of trial ``number``."""
        return _Epochs(number, self._update)

    def on_trial(self, trial: FrozenTrial) -> None:
        """Print a finished trial."""
        duration_s = 0.0 if trial.duration is None else trial.duration.total_seconds()
        self._durations_s.append(duration_s)
        ended = trial.user_attrs.get(WHY)
        loss = f"validation loss {trial.value:.4f}" if trial.state == TrialState.COMPLETE else f"ended early, {ended}"
        best = self._best()
        is_best = best is not None and best.number == trial.number
        self._console.print(
            f"trial {trial.number}: {loss}{' (best so far)' if is_best else ''}, {trial.user_attrs.get(EPOCHS, 0)} "
            f"epochs in {duration_s:.1f} s: {in_words(trial.params)}"
        )
        self._update("")

    def _best(self) -> FrozenTrial | None:
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return min(complete, key=lambda trial: trial.value or 0.0) if complete else None

    def _update(self, now: str) -> None:
        if self._bar is None:
            return
        if now:
            self._bar.update(self._task, now=f"· {now}")
            return
        best = self._best()
        finished = count(self._study, *FINISHED)
        text = "" if best is None else f"· best {best.value:.4f} in trial {best.number} ({in_words(best.params)})"
        left = self._left(self._trials - finished)
        self._bar.update(self._task, completed=finished, best=text, left=left, now="", refresh=True)

    def _left(self, trials: int) -> str:
        estimates = [] if (left_s := self._left_s()) is None else [left_s]
        if self._durations_s:
            estimates.append(trials * sum(self._durations_s) / len(self._durations_s))
        return f"{_clock(min(estimates))} left" if estimates else ""


class _Epochs(Observer):
    def __init__(self, number: int, say: Callable[[str], None]) -> None:
        self._number = number
        self._say = say

    def on_epoch(self, epoch: Epoch) -> None:
        self._say(f"trial {self._number}: epoch {epoch.number}, validation loss {epoch.validation_loss:.4f}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
