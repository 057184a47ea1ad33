"""mlp-models pull: copies models from an object store or another folder, once or again and again."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

from service import artifact
from service.models import references
from service.models.command import Command, CommandError, Context
from service.models.pulling import sync
from service.models.pulling.locate import locate
from service.models.pulling.mirror import Mirror, Wanted
from service.models.pulling.progress import Progress
from service.models.pulling.retries import Retries
from service.models.serving import WHEN

_log = logging.getLogger(__name__)

_INTERVAL_S: Final = 30.0
_LONGEST_S: Final = 86_400.0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a models folder, or its URL: s3://…, gs://…, file://…")
    parser.add_argument(
        "--name",
        metavar="NAME",
        action="append",
        default=[],
        help="only this model, or with name@version that version of it alone; may be repeated (default: all models)",
    )
    parser.add_argument(
        "--newest", metavar="N", type=_count, default=2, help="good versions of each model to copy (default: 2)"
    )
    parser.add_argument(
        "--prune", action="store_true", help="delete other versions of these models, if one that stays would be served"
    )
    parser.add_argument("--sync", action="store_true", help="repeat until SIGTERM, which ends it with status 0")
    parser.add_argument(
        "--interval-s",
        metavar="S",
        type=_seconds,
        default=_INTERVAL_S,
        help=f"time between two pulls of --sync (default: {_INTERVAL_S:g})",
    )


def _count(text: str) -> int:
    if not artifact.VERSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive integer")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 1 to {_LONGEST_S:,.0f}")
    return seconds


def _run(options: argparse.Namespace, context: Context) -> int:
    wanted = Wanted(_only(options.name), options.newest, options.prune)
    retries, progress = Retries(time.sleep), Progress(sys.stderr, time.monotonic)
    with sync.ended_by_sigterm(0 if options.sync else 128 + signal.SIGTERM):
        mirror = Mirror(locate(options.source, context.models), wanted, context, retries, progress, _log.warning)
        if options.sync:
            sync.run(mirror, options.interval_s, time.sleep, context.write)
        outcome = mirror.look()
    context.write(str(outcome))
    if outcome.empty:
        raise CommandError(f"no good version of {', '.join(outcome.empty)} in {mirror.shown}")
    if outcome.pulled:
        context.write(f"Running servers serve what is newer {WHEN}.")
    return 0


def _only(names: Sequence[str]) -> dict[str, int | None]:
    """The version, or None for the newest, by the name of the model. Raises `CommandError` and `ArtifactError`."""
    found: dict[str, int | None] = {}
    for text in names:
        name, version = references.split_name(text)
        if artifact.check_name(name) in found:
            raise CommandError(f"--name names {name} twice; give one version, or --newest for several")
        found[name] = version
    return found


COMMAND: Final = Command(
    name="pull",
    summary="copy models from an object store or another folder, once or as a sidecar of a server",
    description="Copy the newest good versions of each model, and those that MLP_MODEL_VERSIONS pins, into the models "
    "folder. A version appears there whole and verified, or not at all. What is there already is not copied again; one "
    "whose files are not those of its manifest is refused, and the next older one is taken. URLs need the extra "
    "mlp-serving[remote]. The exit status is 1 if the source cannot be read, or a model has no good version.",
    examples="""  mlp-models pull s3://bucket/models
  mlp-models pull gs://bucket/models --name flats --newest 1
  mlp-models pull /mnt/models --prune --sync --interval-s 30""",
    add_arguments=_add_arguments,
    run=_run,
)
