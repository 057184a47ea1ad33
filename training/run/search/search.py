"""A search from the first trial to the best one: what is printed of it, and what a signal leaves."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from training.errors import TrainingError, first_line
from training.release.search_result import SearchResult
from training.release.search_section import in_words
from training.run.interrupt import Interrupts
from training.run.observers import Observer
from training.run.search import loop, result, storage, study
from training.run.search.loop import FINISHED, Deadline
from training.run.search.study import Plan
from training.run.search.trials import Objective
from training.run.search.watch import Watch
from training.run.secrets import without_passwords


@dataclass(frozen=True, slots=True)
class Search:
    """What to search, how long, and where to keep it.

    ``name`` is the model's and ``command`` what started the search, both for trackers. ``place`` is a storage, a file
    or a URL. The study ``study`` in it gets ``trials`` trials, in ``timeout_s`` seconds at most unless that is None.
    ``waits`` says whether to wait in the end for trials of other processes.
    """

    plan: Plan
    name: str
    command: str
    place: str
    study: str
    trials: int
    timeout_s: float | None
    waits: bool


def run(search: Search, console: Console, interrupts: Interrupts, observer: Observer) -> SearchResult:
    """Run trials until there are enough, and print how it goes; each trial has a nested observer of ``observer``.

    Raises `TrainingError`, and `KeyboardInterrupt` after a signal; all finished trials are kept.
    """
    with storage.connected(search.place) as at:
        return _run(search, at, console, interrupts, observer)


def _run(search: Search, at: BaseStorage, console: Console, interrupts: Interrupts, observer: Observer) -> SearchResult:
    place = without_passwords(search.place)
    found = study.opened(at, search.study, place, search.plan)
    before = loop.count(found, *FINISHED)
    begun = f"goes on after {before} trials" if before else "begins"
    console.print(f"study {search.study!r} in {place} {begun}; it searches {', '.join(search.plan.fields)}")
    try:
        with interrupts.orderly():
            _trials(search, found, console, interrupts, observer)
    except KeyboardInterrupt:
        console.print(_left(found, place))
        raise
    except Exception as error:
        if (cause := _storage_error(error)) is None:
            raise
        reason = without_passwords(first_line(cause)).rstrip(".")
        raise TrainingError(f"{place} failed: {reason}; when it works again, the same command goes on") from error
    best = result.of(found, place, search.plan)
    console.print(_summary(best))
    return best


def _storage_error(error: BaseException | None) -> BaseException | None:
    """The storage's own error, if ``error`` was raised by it or because of it."""
    while error is not None and not isinstance(error, SQLAlchemyError | StorageInternalError):
        error = error.__context__
    return error


def _trials(search: Search, found: Study, console: Console, interrupts: Interrupts, observer: Observer) -> None:
    deadline = Deadline(search.timeout_s)
    watch = Watch(found, search.trials, deadline.left_s, console)
    objective = Objective(
        search.plan, search.name, search.command, interrupts, observer, watch.observer, deadline.is_over
    )
    with watch.shown():
        loop.run(found, objective, search.trials, deadline.is_over, watch.on_trial)
        if not search.waits:
            return
        loop.wait_for_others(found, interrupts, deadline.is_over, console.print)
        loop.run(found, objective, search.trials, deadline.is_over, watch.on_trial)  # in place of those that were lost


def _left(found: Study, place: str) -> str:
    """What a signal leaves, and what can be done with it."""
    finished = loop.count(found, *FINISHED)
    kept = f"{finished} finished trials are kept in {place}; the same command goes on"
    if not loop.count(found, TrialState.COMPLETE):
        return kept
    return f"{kept}, and with --trials {finished} it publishes the best so far"


def _summary(found: SearchResult) -> str:
    best, default = found.best, found.default
    compared = ""
    if default is not None and default.validation_loss is not None:
        compared = f" (default settings {default.validation_loss:.4f})"
    return (
        f"best of {len(found.trials)} trials, {found.pruned} of them ended early: trial {best.number}, validation loss "
        f"{best.validation_loss:.4f}{compared}: {in_words(best.settings)}"
    )
