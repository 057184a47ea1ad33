"""The trackers that the command line asks for: which there are, what they need, how they are opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from training.errors import OptionError
from training.run.interrupt import Interrupts
from training.run.observers import Observer, Several
from training.run.tracking.guarded import Failures, Guarded


def check(mlflow: str | None, tensorboard: Path | None) -> None:
    """Raise `OptionError` if a tracker that is asked for is not installed."""
    for flag, given, package in (("--mlflow", mlflow, "mlflow"), ("--tensorboard", tensorboard, "tensorboard")):
        if given is not None and find_spec(package) is None:
            raise OptionError(f"{flag} needs {package}; install it with: pip install 'mlp-serving[{package}]'")


@contextmanager
def tracked(
    name: str, mlflow: str | None, tensorboard: Path | None, console: Console, interrupts: Interrupts
) -> Iterator[Observer]:
    """Open the trackers that are not None, for a run of model ``name``; a signal leaves time to tell them of the end.

    What fails later is printed once, and tracking goes on without it. Raises `OptionError` if one cannot be opened.
    """
    if mlflow is None and tensorboard is None:
        yield Observer()
        return
    with interrupts.orderly():
        yield _opened(name, mlflow, tensorboard, console)


def _opened(name: str, mlflow: str | None, tensorboard: Path | None, console: Console) -> Observer:
    observers: list[Observer] = []
    if tensorboard is not None:
        from training.run.tracking import tensorboard_run  # noqa: PLC0415 - takes seconds

        observers.append(Guarded(tensorboard_run.opened(tensorboard, name), Failures("--tensorboard", console)))
    if mlflow is not None:
        from training.run.tracking import mlflow_run  # noqa: PLC0415 - takes seconds

        observers.append(Guarded(mlflow_run.opened(mlflow, name), Failures("--mlflow", console)))
    return Several(observers)
