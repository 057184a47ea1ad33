"""Scoring on several machines: chunks go to the workers of a cluster, each with a model of its own.

What runs them comes from another package, by an entry point of the group `GROUP`: a function of the address, the number
of workers and whether to print logs, which returns a `Run`, and raises errors of its package that explain themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Protocol

from service.inference.loader import Bounds, Placement
from service.models.command import CommandError
from service.models.prover import Prover
from service.scoring.output import AnswerOptions, Output
from service.scoring.readers.source import Chunk, Position, Source
from service.scoring.scorer import Scored, Scorer
from service.scoring.stop import Stop

GROUP: Final = "mlp_serving.clusters"
_NAME: Final = "ray"


class Run(Protocol):
    """Runs work on items on a cluster."""

    def __call__(
        self,
        items: Callable[[], Iterator[Chunk]],
        make_work: Callable[[], Callable[[Chunk], Scored]],
        on_wait: Callable[[], None],
    ) -> Generator[Scored, None, None]:
        """Yield the results in the order of the items.

        ``items`` is called in a process of the cluster, ``make_work`` in each of its workers, ``on_wait`` here.
        """


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster to score on, by what ``run`` of ``package`` does; all its machines see the version in ``folder``."""

    run: Run
    package: str
    folder: Path
    placement: Placement
    bounds: Bounds

    def scored(
        self, source: Source, choices: AnswerOptions, stop: Stop, position: Position
    ) -> Generator[Scored, None, None]:
        """The scored chunks of ``source`` after ``position``, in order. Raises `CommandError` and `Stopped`."""
        make = partial(_scorer, self.folder, self.placement, self.bounds, source.schema, choices)
        try:
            yield from self.run(partial(source.chunks, position), make, stop.check)
        except Exception as error:
            raise _explained(error, self.package) from error


def chosen(address: str, workers: int, *, logs: bool) -> tuple[Run, str]:
    """What runs work on the cluster at ``address``, and the name of its package. Raises `CommandError`."""
    found = [each for each in entry_points(group=GROUP) if each.name == _NAME]
    if not found:
        raise CommandError("--ray needs mlp-serving as an installed package; install it with: pip install .")
    package = found[0].value.partition(".")[0]
    try:
        run: Run = found[0].load()(address, workers, logs=logs)
    except ImportError as error:
        raise CommandError(f"--ray needs {error.name}; install it with: pip install 'mlp-serving[ray]'") from error
    except Exception as error:
        raise _explained(error, package) from error
    return run, package


def _scorer(folder: Path, placement: Placement, bounds: Bounds, kept: Any, choices: AnswerOptions) -> Scorer:
    """What a worker scores with: the version in ``folder``, after the self-check of a server."""
    model = Prover(placement, bounds).load(folder)
    return Scorer(model, Output(kept, model.manifest, choices))


def _explained(error: Exception, package: str) -> Exception:
    """The error itself, or one of this package for an error of ``package``, which explains itself."""
    return CommandError(str(error)) if type(error).__module__.partition(".")[0] == package else error
