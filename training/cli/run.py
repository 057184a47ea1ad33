"""A run of the command line: load and show the data, then train and release."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from training.cli import outcome, parser
from training.run import preparation, progress
from training.run.interrupt import Interrupts
from training.run.observers import observed
from training.run.tracking import trackers


def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Run the command line and return its exit status, as `outcome.status_of`.

    Raises `KeyboardInterrupt` if ``interrupts`` noted a signal; then nothing was published.
    """
    console, given = progress.console(), interrupts or Interrupts()
    return outcome.status_of("mlp-train", lambda: _run(parser.parse(arguments), console, given), console)


def _run(command: parser.Command, console: Console, interrupts: Interrupts) -> None:
    trackers.check(command.mlflow, command.tensorboard)
    dataset = preparation.read(command.data, command.data_options, console, interrupts)
    name = command.name or dataset.name
    preparation.check(dataset, command.models, name)
    config = command.config(images=dataset.images)
    if command.cluster is not None:
        command.cluster.check(config)
    dataset, parts = preparation.prepare(dataset, config)
    preparation.show(dataset, parts, console)
    preparation.check_clients(dataset, parts, command.models, name, console, breaking=command.breaking)
    # Torch takes seconds to import: by now the user has seen the data, or what is wrong with it.
    from training.engine import subnormal  # noqa: PLC0415
    from training.run import fit  # noqa: PLC0415

    tracked = trackers.tracked(name, command.mlflow, command.tensorboard, console, interrupts)
    with subnormal.flushed(), tracked as observer, observed(observer) as end:
        end.run = fit.train(
            name, command.text, dataset, parts, config, console, interrupts, observer, cluster=command.cluster
        )
        end.release = fit.publish(
            end.run, command.models, console, interrupts, breaking=command.breaking, force=command.force
        )
