"""mlp-models publish: publishes a version that was refused, or copies one from another models folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from service import refused
from service.models.command import Command, CommandError, Context
from service.models.serving import WHEN


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the folder of a version, such as models/mine/.refused/mine/2")


def _run(options: argparse.Namespace, context: Context) -> int:
    path = Path(options.path)
    if not path.is_dir():
        raise CommandError(f"there is no folder {options.path!r}; give the folder of a version")
    context.prover.load(path.absolute()).close()
    models = None if options.models is None else Path(options.models)
    folder = refused.publish(path, models)
    context.write(f"published {folder.parent.name}@{folder.name} as {folder}")
    context.write(f"Running servers serve it {WHEN}.")
    return 0


COMMAND: Final = Command(
    name="publish",
    summary="publish a version that was refused, or one from another models folder",
    description="Publish the version in a folder as the next version of its model. A version that training refused to "
    "publish moves out of the hidden folder where it was kept, and any other is copied to --models. It is checked "
    "first, as a server would.",
    examples="""  mlp-models publish models/mine/.refused/mine/2
  mlp-models publish staging/mine/7 --models models""",
    add_arguments=_add_arguments,
    run=_run,
)
