"""A loader of published models for tests, with a clock that stands still, and what is made with it."""

from __future__ import annotations

from pathlib import Path

from service import artifact, metrics
from service.inference import self_check
from service.inference.loader import Bounds, Loader, Placement
from service.inference.model import Model
from service.inference.versions import ModelVersions
from service.metrics import Metrics


def loader(
    models: Path,
    precision: str = "auto",
    counted: Metrics | None = None,
    check_limit_s: float = self_check.LIMIT_S,
) -> Loader:
    return Loader(
        models,
        Placement("cpu", precision),
        (counted or metrics.alone()).models,
        Bounds(request_rows=10, queue_rows=10, queue_s=1.0),
        clock=lambda: 0.0,
        check_example=lambda _example, _schema: None,
        check_limit_s=check_limit_s,
    )


def load_newest(models: Path, name: str = "small", precision: str = "auto", counted: Metrics | None = None) -> Model:
    return loader(models, precision, counted).load(name, artifact.versions(models / name)[-1])


def serving(*models: Model) -> dict[str, ModelVersions]:
    """Each of the models alone, in the only version."""
    return {model.manifest.name: ModelVersions.of(model) for model in models}
