"""A run of the command line: load and show the data, then train and release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from training.cli import parser
from training.data import source
from training.errors import NotPromoted, TrainingError
from training.run import preparation, progress
from training.run.interrupt import Interrupts

NOT_PROMOTED: Final = 3


def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Run the command line; return 0 if a version was published, `NOT_PROMOTED` if it was refused, 1 after an error.

    Raises `KeyboardInterrupt` if ``interrupts`` noted a signal; then nothing was published.
    """
    console = progress.console()
    try:
        _run(parser.parse(arguments), console, interrupts or Interrupts())
    except NotPromoted as error:
        for reason in error.reasons:
            console.print(f"- {reason}")
        console.print(f"mlp-train: {error.summary}")
        return NOT_PROMOTED
    except TrainingError as error:
        console.print(f"mlp-train: {error}")
        return 1
    return 0


def _run(command: parser.Command, console: Console, interrupts: Interrupts) -> None:
    dataset = source.load(command.data, command.data_options, progress.watching(console, interrupts))
    name = command.name or dataset.name
    preparation.check(dataset, command.models, name)
    config = command.config(images=dataset.images)
    if command.cluster is not None:
        command.cluster.check(config)
    dataset, parts = preparation.prepare(dataset, config, console)
    preparation.check_clients(dataset, parts, command.models, name, console, breaking=command.breaking)
    # Torch takes seconds to import: by now the user has seen the data, or what is wrong with it.
    from training.engine import subnormal  # noqa: PLC0415
    from training.run import fit  # noqa: PLC0415

    with subnormal.flushed():
        run = fit.train(name, command.text, dataset, parts, config, console, interrupts, cluster=command.cluster)
        fit.publish(run, command.models, console, interrupts, breaking=command.breaking, force=command.force)
