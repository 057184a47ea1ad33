"""What the page shows of a version beside its description: held-out rows, typical values, and the files of its card."""

from __future__ import annotations

import io
import json
from contextlib import suppress
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
_UNKNOWN: Final = object()  # a category that training counted among the rare ones


def document(model: Model, version_dir: Path) -> dict[str, Any]:
    """The description of ``model`` and what the page needs beside it, for JSON.

    ``examples`` are held-out rows as a client sends them. ``typical`` has a value for each feature of a table that has
    statistics, and ``important`` names features, those that matter most first. An image has none of these, but the
    largest pixel of its training data.
    """
    manifest, is_image = model.manifest, _is_image(model)
    described = describe(model)
    if is_image:
        del described["features"]  # hundreds of pixels
    reference = None if is_image else manifest.reference
    return {
        "model": described,
        "brightest": max(feature.max for feature in manifest.features) if is_image else None,
        "baseline": manifest.baseline,
        "f1_threshold": manifest.f1_threshold,
        "examples": _examples(model, version_dir),
        "typical": {} if is_image else _typical(model),
        "important": [] if reference is None else [each.name for each in reference.features],
        "card": [name for name in CARD if name in manifest.files],
    }


def _is_image(model: Model) -> bool:
    """Whether rows are grids of pixels, also those of models that take pixels as other numbers than bytes."""
    manifest = model.manifest
    return len(manifest.input_shape) == 2 and all(
        each.kind == "numeric" and each.min >= 0 for each in manifest.features
    )


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
    """Held-out rows: that of the example request, and golden ones if they can be read and written as JSON."""
    features = model.manifest.features
    first = _example_row(model)
    found = [] if first is None else [first]
    if all(feature.kind in _KINDS for feature in features):
        with suppress(ArtifactError):
            golden = artifact.read_file(version_dir, artifact.GOLDEN, model.manifest)
            found += [row for row in _golden_rows(golden, model) if row != first]
    return found[: min(_MAX_EXAMPLES, max(1, _MAX_EXAMPLE_VALUES // len(features)))]


def _example_row(model: Model) -> Any:
    """The row of the example request: an image as a flat list, one of a table as an object. None if it has no row."""
    request = json.loads(model.example)
    rows = request.get("inputs") if isinstance(request, dict) else request
    row = rows[0] if isinstance(rows, list) and rows else None
    while isinstance(row, list) and row and isinstance(row[0], list):
        row = [value for inner in row for value in inner]
    if isinstance(row, dict):
        return row
    if not isinstance(row, list) or len(row) != model.schema.width:
        return None
    return row if _is_image(model) else dict(zip(model.schema.names, row, strict=True))


def _golden_rows(golden: bytes, model: Model) -> list[Any]:
    with np.load(io.BytesIO(golden), allow_pickle=False) as arrays:
        inputs = arrays["inputs"]
    inputs = inputs[:_MAX_EXAMPLES]
    if _is_image(model):
        rows: list[Any] = inputs.tolist()
        return rows
    features = model.manifest.features
    written = ({each.name: _as_json(each, value) for each, value in zip(features, row, strict=True)} for row in inputs)
    return [row for row in written if _UNKNOWN not in row.values()]


def _as_json(feature: Feature, value: np.floating[Any]) -> Any:
    """An encoded value as a client sends it."""
    if np.isnan(value):
        return None
    if feature.kind == "boolean":
        return bool(value)
    if feature.kind == "categorical":
        return feature.categories[int(value)] if value < len(feature.categories) else _UNKNOWN
    return float(str(value))  # the shortest number that float32 reads so


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
