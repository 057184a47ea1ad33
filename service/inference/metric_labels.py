"""Bounds how many labels of a model have metrics of their own: 10,000 classes would fill every scrape."""

from __future__ import annotations

from typing import Final

from service.manifest import Manifest

# The label of all others. A class of this name is counted with them.
OTHER: Final = "(other)"


def metric_labels(manifest: Manifest, most: int) -> list[str]:
    """The label under which each class is counted: its own for ``most`` of them, and `OTHER`.

    Those are the most frequent among the predictions for the test rows, or without a reference the first ones. That
    never changes while a version is loaded, so each of its counters only grows.
    """
    labels = [*manifest.label_texts]
    if len(labels) <= most:
        return labels
    counts = [0] * len(labels) if manifest.reference is None else manifest.reference.predictions[0].counts
    kept = {*sorted(range(len(labels)), key=lambda index: -counts[index])[:most]}
    return [label if index in kept else OTHER for index, label in enumerate(labels)]
