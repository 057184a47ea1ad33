"""A published model of images, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from service import artifact
from tests.service.published import publish


def publish_images(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    """Write ``folder/name/1``, a model of pixels of this ``shape``."""
    publish(folder, name, shape=shape)
    version = folder / name / "1"
    example = json.dumps({"inputs": np.full((1, *shape), 7).tolist()}).encode()
    (version / artifact.EXAMPLE).write_bytes(example)
    manifest = json.loads((version / artifact.MANIFEST).read_text())
    manifest["input_dtype"] = "uint8"
    manifest["files"][artifact.EXAMPLE] = artifact.sha256(example)
    for feature in manifest["features"]:
        feature |= {"min": 0.0, "max": 255.0}
    (version / artifact.MANIFEST).write_text(json.dumps(manifest))
