"""A run of the command line: load and show the data, then train and release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from training.cli import parser, progress
from training.cli.interrupt import Interrupts
from training.data import categories, source, summary
from training.data.split import split
from training.errors import NotPromoted, TrainingError
from training.release import destination, promotion

NOT_PROMOTED: Final = 3


def main(arguments: Sequence[str], interrupts: Interrupts | None = None) -> int:
    """Run the command line; return 0 if a version was published, `NOT_PROMOTED` if it was refused, 1 after an error.

    Raises `KeyboardInterrupt` if ``interrupts`` noted a signal; then nothing was published.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
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
    watch = progress.watching(console, interrupts)
    dataset = source.load(command.data, command.data_options, watch)
    name = command.name or dataset.name
    destination.check(command.models, name)
    destination.check_names(dataset)
    config = command.config(images=dataset.images)
    parts = split(dataset, config)
    dataset = categories.group_rare(dataset, parts.train)
    summary.show(console, dataset, parts.train)
    for note in promotion.check_interface(dataset, parts, command.models, name, breaking=command.breaking):
        console.print(note)
    # Torch takes seconds to import: by now the user has seen the data, or what is wrong with it.
    from training.cli import fit  # noqa: PLC0415

    fit.train_and_release(name, command, dataset, parts, config, console, interrupts)
