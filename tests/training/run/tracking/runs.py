"""A small run that is observed: trained, and published in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training import small
from training.config import Config
from training.data.split import split
from training.run import fit, progress
from training.run.interrupt import Interrupts
from training.run.observers import End, Observer, observed

CONFIG = Config(hidden=(8, 4), batch_size=32, lr=0.01, epochs=3)


def run(observer: Observer, models: Path, config: Config = CONFIG) -> End:
    """Train on two separable classes and publish version 1 of ``small``."""
    dataset, console = small.sides(200), progress.console(quiet=True)
    with observed(observer) as end:
        end.run = fit.train(
            "small", "the tests", dataset, split(dataset, config), config, console, Interrupts(), observer
        )
        end.release = fit.publish(end.run, models, console, Interrupts(), breaking=False, force=False)
    return end


def fails(observer: Observer, error: BaseException) -> None:
    """A run that ends with ``error`` before its first epoch."""
    with pytest.raises(type(error)), observed(observer):
        raise error
