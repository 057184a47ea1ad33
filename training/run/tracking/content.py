"""What is tracked of a run, under which names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from training.run.observers import End, Start

if TYPE_CHECKING:
    from training.engine.trainer import Epoch


def parameters(start: Start) -> dict[str, str | int | float | bool]:
    """The options of a run, and the numbers of its rows."""
    split = start.split
    rows = {
        "train_rows": split.train_rows,
        "validation_rows": len(split.validation),
        "test_rows": len(split.test),
    }
    options = {
        name: " ".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in asdict(start.config).items()
    }
    return {"data": start.dataset.name, **rows, **options}


def curves(epoch: Epoch, score_name: str) -> dict[str, float]:
    """The figures of an epoch."""
    return {
        "train_loss": epoch.train_loss,
        "validation_loss": epoch.validation_loss,
        f"validation_{score_name}": epoch.validation_score,
        "epoch_s": epoch.duration_s,
    }


def score_name(start: Start) -> str:
    """The name of the validation score."""
    return "accuracy" if start.dataset.classifies else "r2"


def results(end: End) -> dict[str, float]:
    """The figures of a run that was trained, and test scores by name if it was published."""
    found: dict[str, float] = {}
    if end.run is not None:
        found = {"best_epoch": end.run.best_epoch.number, "best_validation_loss": end.run.best_epoch.validation_loss}
        found |= {"fit_s": end.run.fit_s}
    if end.release is not None:
        found |= dict(_named(end.release.candidate.scores))
    return found


def _named(scores: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    for precision, by_metric in scores.items():
        for metric, value in by_metric.items():
            yield f"test_{metric}" if precision == "fp32" else f"test_{metric}_{precision}", value
