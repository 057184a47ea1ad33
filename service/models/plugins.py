"""Commands of other packages, found by their entry points and imported only when they are used.

An entry point of the group `GROUP` has the name of the command and names a module with ``SUMMARY``, ``DESCRIPTION``,
``EXAMPLES``, ``add_arguments(parser)``, and ``run(options, models, prove, write)``, which returns the exit status.
``prove`` raises if a server would refuse the version in a folder; ``write`` prints a line.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from service.models.command import Command, CommandError, Context

GROUP: Final = "mlp_serving.commands"


def find() -> dict[str, Callable[[], Command]]:
    """By name, functions that import each command. They raise `CommandError` if its package is not installed."""
    return {each.name: _importer(each) for each in entry_points(group=GROUP)}


def _importer(entry: EntryPoint) -> Callable[[], Command]:
    def load() -> Command:
        try:
            module = entry.load()
        except ImportError as error:
            raise CommandError(
                f"{entry.name} needs the package {error.name!r}, which is not installed; install mlp-serving[train]"
            ) from error
        return _command(entry, module)

    return load


def _command(entry: EntryPoint, module: Any) -> Command:
    package = entry.value.partition(".")[0]

    def run(options: argparse.Namespace, context: Context) -> int:
        def prove(version_dir: Path) -> None:
            context.prover.load(version_dir).close()

        try:
            status: int = module.run(options, context.models, prove, context.write)
        except Exception as error:
            if type(error).__module__.partition(".")[0] != package:
                raise
            raise CommandError(str(error)) from error  # its own errors explain themselves
        return status

    return Command(entry.name, module.SUMMARY, module.DESCRIPTION, module.EXAMPLES, module.add_arguments, run)
