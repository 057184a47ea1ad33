"""The newest published version: what it takes, and its answers to the test rows of a new run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import artifact
from service.manifest import ArtifactError, Feature, Manifest
from training.data.dataset import Column
from training.errors import TrainingError, first_line
from training.release import onnx_runtime, seen_rows


@dataclass(frozen=True, slots=True)
class Previous:
    """A published version.

    ``golden`` are its golden rows (rows, features) and ``answers`` their predictions. ``seen`` are the hashes of the
    rows that it was trained on, None if it was published without them.
    """

    manifest: Manifest
    graph: bytes
    golden: NDArray[Any]
    answers: NDArray[Any]
    seen: NDArray[np.uint64] | None

    def outputs(self, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Its outputs for ``inputs`` (rows, features), in its encoding. Raises `TrainingError` if it does not run."""
        try:
            outputs = onnx_runtime.run(self.graph, inputs)
        except Exception as error:
            raise TrainingError(f"it does not run: {first_line(error):.200}") from error
        if not all(np.isfinite(each).all() for each in outputs):
            raise TrainingError("its outputs are not finite")
        return outputs


def newest(models_dir: Path, name: str) -> tuple[Previous | None, list[str]]:
    """The newest version that can be read, which is the one that the server serves; None without one.

    Also returns a sentence for each newer version that cannot be read. Raises `TrainingError` if the folder cannot.
    """
    notes: list[str] = []
    try:
        versions = artifact.versions(models_dir / name)
    except ArtifactError as error:
        raise TrainingError(str(error)) from error
    for version in reversed(versions):
        try:
            return _read(models_dir / name / str(version)), notes
        except ArtifactError as error:
            notes.append(f"not compared with version {version}, which cannot be served: {error}")
    return None, notes


def _read(version_dir: Path) -> Previous:
    manifest, files = artifact.read_files(version_dir)
    try:
        with np.load(io.BytesIO(files[artifact.GOLDEN]), allow_pickle=False) as golden:
            inputs, answers = golden["inputs"], golden["prediction"]
        seen = seen_rows.read(files[seen_rows.FILE]) if seen_rows.FILE in files else None
    except Exception as error:  # numpy and zipfile raise many types for damaged files
        raise ArtifactError(f"{version_dir}: its arrays cannot be read ({error}); publish the model again") from error
    if inputs.ndim != 2 or inputs.shape[1] != len(manifest.features) or len(answers) != len(inputs):
        raise ArtifactError(f"{version_dir}: its golden rows do not fit its manifest; publish the model again")
    return Previous(manifest, files[artifact.MODEL], inputs, answers, seen)


def encoded(
    columns: Sequence[Column], inputs: NDArray[Any], features: Sequence[Feature]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Encode ``inputs`` (rows, features) of ``columns`` as a version with these ``features`` takes them.

    Columns and features have the same names and kinds, in the same order. Also returns which rows that version accepts
    (rows,): the others have a category it does not know, or a missing value.
    """
    result = inputs.copy()
    accepted = np.ones(len(inputs), bool)
    for index, (column, feature) in enumerate(zip(columns, features, strict=True)):
        values = inputs[:, index]
        missing = np.isnan(values)
        if not feature.missing:
            accepted &= ~missing
        if column.type == "categorical":
            codes = _codes(column, feature)
            result[:, index] = np.where(missing, np.nan, codes[np.where(missing, 0, values).astype(np.int64)])
            accepted &= missing | ~np.isnan(result[:, index])
    return result, accepted


def _codes(column: Column, feature: Feature) -> NDArray[np.float64]:
    """The code in ``feature`` of each category of ``column`` and of all others; NaN if the feature has none for it."""
    known = {category: float(code) for code, category in enumerate(feature.categories)}
    other = float(len(feature.categories)) if feature.other else np.nan
    return np.array([*(known.get(name, other) for name in column.categories), other])
