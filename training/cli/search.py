"""A run of `mlp-tune`: load and show the data, search, then train the best settings again and release them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console

from training.cli import outcome, tune_parser
from training.errors import OptionError
from training.run import preparation, progress
from training.run.interrupt import Interrupts
from training.run.observers import observed
from training.run.search import spaces
from training.run.tracking import trackers

if TYPE_CHECKING:  # optuna and torch take seconds to import
    from training.release.search_result import SearchResult


def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Run the command line and return its exit status, as `outcome.status_of`.

    Raises `KeyboardInterrupt` if ``interrupts`` noted a signal; then nothing was published, and the study is kept.
    """
    console = progress.console()
    given = interrupts or Interrupts("mlp-tune")
    return outcome.status_of("mlp-tune", lambda: _run(tune_parser.parse(arguments), console, given), console)


def _run(command: tune_parser.TuneCommand, console: Console, interrupts: Interrupts) -> None:
    run = command.training
    if find_spec("optuna") is None:
        raise OptionError("optuna is not installed; install it with: pip install 'mlp-serving[tune]'")
    trackers.check(run.mlflow, run.tensorboard)
    dataset = preparation.read(run.data, run.data_options, console, interrupts)
    name = run.name or dataset.name
    if command.publish:
        preparation.check(dataset, run.models, name)
    config = run.config(images=dataset.images)
    fields = spaces.chosen(spaces.kind_of(dataset), run.options, command.search, classifies=dataset.classifies)
    dataset, parts = preparation.prepare(dataset, config)
    preparation.show(dataset, parts, console)
    if command.publish:
        preparation.check_clients(dataset, parts, run.models, name, console, breaking=run.breaking)
    from training.engine import subnormal  # noqa: PLC0415 - torch takes seconds to import
    from training.run import fit  # noqa: PLC0415
    from training.run.search import search  # noqa: PLC0415
    from training.run.search.study import Plan  # noqa: PLC0415

    plan = Plan(dataset, parts, config, fields, run.other_configs(images=dataset.images))
    searched = search.Search(
        *(plan, name, run.text, command.place(name), command.study or name),
        trials=command.trials,
        timeout_s=command.timeout_s,
        waits=command.publish,
    )
    tracked = trackers.tracked(name, run.mlflow, run.tensorboard, console, interrupts)
    with subnormal.flushed(), tracked as observer, observed(observer) as end:
        found = search.run(searched, console, interrupts, observer)
        if not command.publish:
            return
        config = replace(config, **spaces.options(found.best.settings))
        trained = fit.train(name, run.text, dataset, parts, config, console, interrupts, observer)
        _compare(trained.best_epoch.validation_loss, found, console)
        end.run = replace(trained, search=found)
        end.release = fit.publish(end.run, run.models, console, interrupts, breaking=run.breaking, force=run.force)


def _compare(loss: float, found: SearchResult, console: Console) -> None:
    """Say so if training did not repeat the best trial exactly, which it does on the same machine."""
    if loss != found.best.validation_loss:
        console.print(
            f"trained again, the validation loss is {loss:.6g}, and was {found.best.validation_loss:.6g} in trial "
            f"{found.best.number}; another processor or number of threads rounds otherwise"
        )
