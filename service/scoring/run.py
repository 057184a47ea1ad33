"""Runs the command: settings, model, input, output; errors as one sentence; the exit status."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from service.errors import StartError
from service.inference.loader import Bounds, Placement
from service.inference.selection import Selection
from service.manifest import ArtifactError
from service.models.command import CommandError
from service.models.parser import UsageError
from service.models.prover import Prover
from service.scoring import command, served
from service.scoring.command import PROGRAM
from service.scoring.stop import Stop, Stopped
from service.settings import load

_MOST_ROWS: Final = 2**31


def run(arguments: Sequence[str], stop: Stop, loaded: Callable[[], object] = lambda: None) -> int:
    """Run the command in ``arguments`` and return the exit status. ``loaded`` is called before the rows are read."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names in a terminal that is not UTF-8
    logging.basicConfig(format=f"{PROGRAM}: %(message)s", level=logging.WARNING)
    try:
        _score(command.parser().parse_args(arguments), stop, loaded)
    except UsageError as error:
        return _failed(error, 2)
    except (CommandError, ArtifactError, StartError) as error:
        return _failed(error, 1)
    except Stopped as stopped:
        return _failed(stopped, stopped.status)
    return 0


def _score(options: argparse.Namespace, stop: Stop, loaded: Callable[[], object]) -> None:
    if find_spec("pyarrow") is None:
        raise CommandError("scoring files needs pyarrow, which is not installed; install mlp-serving[arrow]")
    from service.scoring.cluster import Cluster, chosen  # noqa: PLC0415 - an extra
    from service.scoring.score import score  # noqa: PLC0415 - an extra

    settings = load(command.server_arguments(options))
    bounds = Bounds(_MOST_ROWS, _MOST_ROWS, settings.max_queue_s, impute=settings.unseen_values == "impute")
    prover = Prover(Placement(settings.provider, settings.precision), bounds)
    selection = Selection.of(settings.model, settings.model_versions)
    run = None if options.ray is None else chosen(options.ray, options.ray_workers, logs=options.ray_logs)
    stop.check()
    model = served.load(options.model, settings.models, prover, selection, _say)
    try:
        folder = served.folder(options.model, settings.models, model)
        cluster = run and Cluster(*run, folder, prover.placement, bounds)
        loaded()
        score(model, options, stop, time.monotonic, _say, cluster)
    finally:
        model.close()


def _say(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write("".join(f"{PROGRAM}: {line}\n" for line in text.splitlines()))
            sys.stderr.flush()


def _failed(error: Exception, status: int) -> int:
    _say(str(error))
    return status
