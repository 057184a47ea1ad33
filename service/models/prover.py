"""Proves a version as the server would, with the server's own loader."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from service import artifact, metrics
from service.artifact import EXAMPLE, GOLDEN, MANIFEST, MODEL, MODEL_INT8
from service.errors import ModelRefused
from service.http.codecs.json_codec import check_example
from service.inference.loader import Bounds, Loader, Placement
from service.inference.model import Model
from service.manifest import ArtifactError
from service.metrics.models import ModelMetrics


@dataclass(frozen=True)
class Prover:
    """Loads versions for ``placement``, for a server with these ``bounds``."""

    placement: Placement
    bounds: Bounds
    _metrics: ModelMetrics = field(default_factory=lambda: metrics.alone().models)

    def load(self, version_dir: Path) -> Model:
        """The model in ``<models>/<name>/<version>``, or in the folder of a withdrawn version. Close it after use.

        Raises `ModelRefused` if a server would refuse it, and `ProviderUnavailable`.
        """
        models, name = version_dir.parent.parent, version_dir.parent.name
        if artifact.VERSION.fullmatch(version_dir.name):
            return self._loader(models).load(name, int(version_dir.name))
        with tempfile.TemporaryDirectory(prefix="mlp-models-") as copies:
            copy = _copy(version_dir, Path(copies))
            try:
                return self._loader(Path(copies)).load(name, int(copy.name))
            except ModelRefused as error:
                raise ModelRefused(str(error).replace(str(copy), str(version_dir))) from error

    def reason_against(self, version_dir: Path) -> str | None:
        """Why a server would refuse the version; None if it would serve it. Raises `ProviderUnavailable`."""
        try:
            self.load(version_dir).close()
        except ModelRefused as error:
            return str(error)
        return None

    def _loader(self, models: Path) -> Loader:
        return Loader(
            models,
            self.placement,
            self._metrics,
            self.bounds,
            clock=time.perf_counter,
            check_example=check_example,
        )


def _copy(version_dir: Path, models: Path) -> Path:
    """Copy what the server reads of a withdrawn version to where it reads versions. Raises `ModelRefused`."""
    try:
        published = artifact.read(version_dir)
    except ArtifactError as error:
        raise ModelRefused(str(error)) from error
    manifest = published.manifest
    copy = models / manifest.name / str(manifest.version)
    copy.mkdir(parents=True)
    files = {MODEL: published.model, GOLDEN: published.golden, EXAMPLE: published.example}
    if published.model_int8 is not None:
        files[MODEL_INT8] = published.model_int8
    for name, content in files.items():
        (copy / name).write_bytes(content)
    (copy / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return copy
