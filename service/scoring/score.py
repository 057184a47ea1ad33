"""From a model and the options to the output: opens the input, checks the output, scores, tells what became of it."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service import cpus
from service.errors import RequestError
from service.inference.model import Model
from service.models.command import CommandError
from service.scoring import locate, whole_file
from service.scoring.cluster import Cluster
from service.scoring.job import BadRow, Job
from service.scoring.output import NULL, AnswerOptions, Output
from service.scoring.parts import Parts
from service.scoring.places import Place
from service.scoring.progress import Progress, duration
from service.scoring.readers import table as readers
from service.scoring.readers.source import Source, Wanted
from service.scoring.scorer import Scorer
from service.scoring.stop import Stop, Stopped
from service.scoring.tally import Tally
from service.scoring.writers import table as writers

# The options that change what the rows of the output are.
_CHOICES: Final = ("keep", "probabilities", "top_k", "prefix", "on_error", "resize", "unseen_values")

Say = Callable[[str], object]


def score(
    model: Model,
    options: argparse.Namespace,
    stop: Stop,
    clock: Callable[[], float],
    say: Say,
    cluster: Cluster | None = None,
) -> None:
    """Score the input of ``options`` into its output, here or on a ``cluster``. Raises `CommandError` and `Stopped`."""
    began_s = clock()
    given, output = locate.place(options.input), locate.place(options.output)
    writers.format_of(output)
    whole_file.check(output, overwrite=options.overwrite)
    if options.resume and output.local is None:
        raise CommandError(f"--resume keeps parts beside the output, and {output.shown} is a URL; leave it out")
    files = readers.files_of(given)
    job = _job(model, _source(given, files, model, options), output, options, stop, clock, cluster)
    try:
        if options.resume:
            tally = _resumed(job, output, _identity(model, files, options), clock, say)
        else:
            tally = _at_once(job, output, say)
    finally:
        job.progress.close()
    if not options.quiet:
        took_s = clock() - began_s
        speed = f", {job.progress.rows / took_s:,.0f} rows/s" if took_s >= 1 else ""
        _tell(tally, model, options, f"{duration(took_s)}{speed}: {output.shown}", say)


def _job(
    model: Model,
    source: Source,
    output: Place,
    options: argparse.Namespace,
    stop: Stop,
    clock: Callable[[], float],
    cluster: Cluster | None,
) -> Job:
    threads = options.threads or max(1, math.floor(cpus.available()))
    pa.set_cpu_count(threads)
    choices = AnswerOptions(options.probabilities, options.top_k, options.prefix, options.on_error)
    rows = Output(source.schema, model.manifest, choices)
    return Job(
        source,
        Scorer(model, rows),
        None if cluster is None else partial(cluster.scored, source, choices, stop),
        rows.schema,
        writers.maker(output, rows.schema),
        threads,
        options.on_error,
        Progress(None if options.quiet else sys.stderr, source.total, clock),
        stop,
    )


def _source(given: Place, files: list[Place], model: Model, options: argparse.Namespace) -> Source:
    keep = None if options.keep is None else tuple(options.keep)
    wanted = Wanted(model.schema, np.dtype(model.manifest.graph_dtype), keep, options.resize)
    try:
        return readers.source_of(given, files, wanted)
    except RequestError as error:
        raise CommandError(f"{given.shown}: {error}") from error


def _at_once(job: Job, output: Place, say: Say) -> Tally:
    try:
        with whole_file.staged(output) as path:
            return job.write(path)
    except Stopped:
        say("nothing was written; with --resume, what is scored is kept for the next run")
        raise


def _resumed(job: Job, output: Place, identity: dict[str, Any], clock: Callable[[], float], say: Say) -> Tally:
    """Go on with the parts of an earlier run, or begin some."""
    assert output.local is not None  # noqa: S101 - there are no parts of an output at a URL
    with closing(Parts(output.local, identity, clock)) as parts:
        if parts.position.rows:
            say(f"going on after {parts.position.rows:,} rows of an earlier run")
        try:
            tally = job.write_parts(parts)
            with whole_file.staged(output) as path:
                job.join(parts, path)
        except Stopped:
            say(f"stopped after {parts.position.rows:,} rows; run the same command again to go on")
            raise
        except BadRow:
            parts.forget()
            raise
        parts.forget()
        return tally


def _identity(model: Model, files: Sequence[Place], options: argparse.Namespace) -> dict[str, Any]:
    """What decides the rows of the output: if any of it differs, parts of an earlier run are of no use."""
    return {
        "model": f"{model.manifest.name}@{model.manifest.version}",
        "content of the model": dict(model.manifest.files),
        "arithmetic": f"{model.provider}, {model.precision}",
        "input": [[file.shown, file.stamp()] for file in files],
        **{f"--{name.replace('_', '-')}": getattr(options, name) for name in _CHOICES},
        "version of mlp-serving": version("mlp-serving"),
    }


def _tell(tally: Tally, model: Model, options: argparse.Namespace, ending: str, say: Say) -> None:
    manifest, good = model.manifest, tally.rows - tally.bad
    where = f"{manifest.name}@{manifest.version} ({model.provider}, {model.precision})"
    say(f"scored {good:,} rows with {where} in {ending}")
    if not tally.rows:
        say("the input has no rows, and so has the output")
    if tally.bad:
        did = "have no answer" if options.on_error == NULL else "are left out"
        say(f"{tally.bad:,} of {tally.rows:,} rows do not fit the model and {did} (rows are counted from 0):")
    for line in tally.lines():
        say(line)
