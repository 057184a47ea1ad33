"""What the page shows of a version beside its description: held-out rows, typical values, and the files of its card."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

from service import artifact
from service.errors import NotFound
from service.http.model_document import describe
from service.inference.model import Model
from service.manifest import ArtifactError, Feature
from service.reference import Distribution

# The card's files that are served, if the version has them, with their media types.
CARD: Final = {
    "README.md": "text/plain; charset=utf-8",
    "card.html": "text/html; charset=utf-8",
    **dict.fromkeys(
        ("confusion.png", "reliability.png", "predicted.png", "importance.png", "mistakes.png", "learning.png"),
        "image/png",
    ),
}
_MAX_EXAMPLES: Final = 12
_MAX_EXAMPLE_VALUES: Final = 20_000  # one row is always shown
_KINDS: Final = {"numeric", "boolean", "categorical"}


def document(model: Model, version_dir: Path) -> dict[str, Any]:
    """The description of ``model`` and what the page needs beside it, for JSON.

    ``examples`` are held-out rows as a client sends them. ``typical`` has a value for each feature of a table that has
    statistics, and ``important`` names features, those that matter most first. An image has none of these, but the
    largest pixel of its training data.
    """
    manifest, brightest = model.manifest, model.schema.brightest
    is_image = brightest is not None and len(manifest.input_shape) == 2
    described = describe(model)
    if is_image:
        del described["features"]  # hundreds of pixels
    return {
        "model": described,
        "brightest": brightest if is_image else None,
        "baseline": manifest.baseline,
        "f1_threshold": manifest.f1_threshold,
        "examples": _examples(model, version_dir),
        "typical": {} if is_image else _typical(model),
        "important": []
        if is_image or manifest.reference is None
        else [each.name for each in manifest.reference.features],
        "card": [name for name in CARD if name in manifest.files],
    }


def card_file(model: Model, version_dir: Path, name: str) -> bytes:
    """A file of the card, as it was published. Raises `NotFound`."""
    if name not in CARD or name not in model.manifest.files:
        known = ", ".join(file for file in CARD if file in model.manifest.files) or "none"
        raise NotFound(f"there is no file {name!r:.60} of the card of {_label(model)}; there are: {known}")
    try:
        return artifact.read_file(version_dir, name, model.manifest)
    except ArtifactError as error:
        raise NotFound(f"{name} of {_label(model)} cannot be read any more; publish the version again") from error


def _label(model: Model) -> str:
    return f"{model.manifest.name!r}, version {model.manifest.version}"


def _examples(model: Model, version_dir: Path) -> list[Any]:
    """Held-out rows: some of the golden ones, or the example request's if those cannot be read or written as JSON."""
    features = model.manifest.features
    if all(feature.kind in _KINDS for feature in features):
        try:
            golden = artifact.read_file(version_dir, artifact.GOLDEN, model.manifest)
        except ArtifactError:
            pass
        else:
            return _golden_rows(golden, features)
    rows = json.loads(model.example)
    rows = rows.get("inputs", []) if isinstance(rows, dict) else rows
    return rows[:_MAX_EXAMPLES] if isinstance(rows, list) else []


def _golden_rows(golden: bytes, features: Sequence[Feature]) -> list[Any]:
    with np.load(io.BytesIO(golden), allow_pickle=False) as arrays:
        inputs = arrays["inputs"]
    count = min(_MAX_EXAMPLES, max(1, _MAX_EXAMPLE_VALUES // len(features)))
    if inputs.dtype == np.uint8:
        rows: list[Any] = inputs[:count].tolist()
        return rows
    written = ({each.name: _as_json(each, value) for each, value in _pairs(features, row)} for row in inputs[:count])
    return [row for row in written if _UNKNOWN not in row.values()]


_UNKNOWN: Final = object()  # a category that training counted among the rare ones


def _pairs(features: Sequence[Feature], row: np.ndarray[Any, Any]) -> list[tuple[Feature, float]]:
    return list(zip(features, row.tolist(), strict=True))


def _as_json(feature: Feature, value: float) -> Any:
    """An encoded value as a client sends it."""
    if value != value:  # NaN  # noqa: PLR0124
        return None
    if feature.kind == "boolean":
        return bool(value)
    if feature.kind == "categorical":
        return feature.categories[int(value)] if value < len(feature.categories) else _UNKNOWN
    return value


def _typical(model: Model) -> dict[str, Any]:
    """A usual value of each feature: the median or the most frequent one in training, else the mean."""
    reference = model.manifest.reference
    known = {} if reference is None else {each.name: each for each in reference.features}
    features = [each for each in model.manifest.features if each.kind in _KINDS]
    return {each.name: _usual(each, known.get(each.name)) for each in features}


def _usual(feature: Feature, found: Distribution | None) -> Any:
    if feature.kind == "numeric":
        return feature.mean if found is None else _median(found, feature)
    if feature.kind == "boolean":
        return feature.mean >= 0.5
    if found is not None:
        counts = found.counts[: len(feature.categories)]
        return feature.categories[counts.index(max(counts))]
    return feature.categories[0]


def _median(found: Distribution, feature: Feature) -> float:
    """The median, interpolated within its bin."""
    edges = (feature.min, *found.edges, feature.max)
    half, below = sum(found.counts) / 2, (0, *accumulate(found.counts))
    at = next(index for index, count in enumerate(below[1:]) if count >= half)
    share = (half - below[at]) / found.counts[at]
    return edges[at] + share * (edges[at + 1] - edges[at])
