"""Reference statistics of the table of `published`, and a manifest with them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from service import artifact
from service.manifest import Manifest
from service.reference import Distribution, Reference
from tests.service.published import TABLE, Network, publish, rewrite, values_of

# Every kind of feature, not in the order of the columns. The counts are those of 4,000 rows of `values_of`, about.
TABLE_REFERENCE = Reference(
    4000,
    (
        Distribution("job", (1334, 1333, 1333)),
        Distribution("age", (636, 984, 828, 351, 201), (-0.8, 0.1, 0.9, 1.5), missing=1000),
        Distribution("height", (2000, 2000), (0.0,)),
        Distribution("member", (1500, 1500), missing=1000),
        Distribution("country", (1000, 1000, 1000), missing=1000),
    ),
    4000,
    (Distribution("animal", (2000, 1000, 1000)),),
)


def manifest() -> Manifest:
    """That of a published table, with `TABLE_REFERENCE`."""
    with TemporaryDirectory() as folder:
        publish(Path(folder), "table", features=TABLE)
        return replace(artifact.read_manifest(Path(folder) / "table" / "1"), reference=TABLE_REFERENCE)


def publish_with_reference(models: Path, name: str = "table", version: int = 1, seed: int = 0) -> Network:
    """Publish a table with `TABLE_REFERENCE`, its predictions those of rows like the reference's."""
    network = publish(models, name, version, features=TABLE, seed=seed)
    labels = np.bincount(network.answer(values_of(TABLE, 4000, 9)).argmax(axis=1), minlength=3)
    predictions = (Distribution("animal", tuple(labels.tolist())),)
    reference = asdict(replace(TABLE_REFERENCE, predictions=predictions))
    rewrite(models / name / str(version), lambda document: document.update(reference=reference))
    return network
