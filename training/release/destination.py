"""Check before a training run that a version of a model can be written, and its names shown."""

from __future__ import annotations

import tempfile
from pathlib import Path

from service import artifact
from service.manifest import ArtifactError, unprintable
from training.data.dataset import Dataset
from training.errors import DataError, TrainingError, joined


def check(models_dir: Path, name: str) -> None:
    """Raise `TrainingError` if the model name is invalid or a version cannot be written."""
    model_dir = models_dir / name
    try:
        artifact.check_name(name)
        models_dir.mkdir(parents=True, exist_ok=True)
        artifact.versions(model_dir)
        with tempfile.TemporaryFile(dir=model_dir if model_dir.exists() else models_dir):
            pass
    except OSError as error:
        raise TrainingError(
            f"no version of {name!r} can be written to {str(models_dir)!r}: {error.strerror}; "
            "choose another folder with --models"
        ) from error
    except ArtifactError as error:
        raise TrainingError(str(error)) from error


def check_names(dataset: Dataset) -> None:
    """Raise `DataError` with all labels, targets and columns that have a character that the server cannot show."""
    names = {"label": dataset.class_names, "target": dataset.target_names}
    faults = [
        f"{what} {text!r:.60} has the character {found}, a control character or not valid UTF-8, "
        "which responses, metrics and logs cannot show; rename it"
        for what, texts in {**names, "column": [column.name for column in dataset.columns]}.items()
        for text in texts
        if (found := unprintable(text))
    ]
    if faults:
        raise DataError(joined(dataset.name, faults))
