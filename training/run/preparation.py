"""The first steps of a run, without torch: read and prepare a data set, and check that it may be published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from training.config import Config
from training.data import categories, leaks, rare_classes, source, summary
from training.data.dataset import Dataset
from training.data.split import Split, split, streamed
from training.release import destination, promotion
from training.run import progress
from training.run.interrupt import Interrupts


def read(data: str, options: Mapping[str, Any], console: Console, interrupts: Interrupts) -> Dataset:
    """Load the data set of that name or path, and say so first. Raises as `source.load`."""
    if source.kind_of(data) is not None:
        console.print(f"reading {data}")
    return source.load(data, options, progress.watching(console, interrupts))


def check(dataset: Dataset, models: Path, name: str) -> None:
    """Raise `TrainingError` if ``dataset`` cannot be published as model ``name`` in the folder ``models``."""
    destination.check(models, name)
    destination.check_names(dataset)


def prepare(dataset: Dataset, config: Config) -> tuple[Dataset, Split]:
    """Leave out rare classes of ``dataset``, split it, and group its rare categories.

    If it is to be streamed, all its rows are read once. Raises `DataError`.
    """
    if dataset.collect is not None:
        dataset = dataset.collect(config.validation_fraction, config.test_fraction)
        parts = streamed(dataset)
    else:
        dataset = rare_classes.left_out(dataset)
        parts = split(dataset, config)
        dataset = categories.group_rare(dataset, parts.train)
    return leaks.with_notes(dataset, parts.train), parts


def show(dataset: Dataset, parts: Split, console: Console) -> None:
    """Print the columns and notes of a prepared ``dataset``."""
    if not console.quiet:
        summary.show(console, dataset, parts.train)


def check_clients(dataset: Dataset, parts: Split, models: Path, name: str, console: Console, *, breaking: bool) -> None:
    """Print what changes for clients of the newest version. Raises `NotPromoted` if it breaks one, not ``breaking``."""
    for note in promotion.check_interface(dataset, parts, models, name, breaking=breaking):
        console.print(note)
