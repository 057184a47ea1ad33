"""Versions on disk become live models, each proved before it is served; finding one by name and version."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service import artifact
from service.artifact import Artifact
from service.errors import ModelRefused, NotFound, StartError
from service.inference import self_check, session
from service.inference.batcher import Batcher, Costs, Run
from service.inference.session import Session
from service.manifest import ArtifactError, Manifest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A version that proved itself and takes traffic; ``load_s`` is how long it took to get there."""

    manifest: Manifest
    example: bytes
    provider: str
    precision: str
    costs: Costs
    batcher: Batcher
    load_s: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network should run and in which arithmetic; ``auto`` leaves the choice to what is there."""

    provider: str
    precision: str


def load(
    models_dir: Path, name: str, placement: Placement, make_batcher: Callable[[Manifest, Run, Costs], Batcher]
) -> Model:
    """Read, verify, build, prove and warm up the newest version of ``name``.

    Raises `ModelRefused` with the reason where that version is not fit to serve, and `ProviderUnavailable`. An older
    version is not served in its place: whoever published the newer one should hear of it.
    """
    started_s = time.perf_counter()
    try:
        found = artifact.versions(models_dir / name)
        if not found:
            raise ModelRefused(f"{models_dir / name} has no version; publish one with: make train")
        version_dir = models_dir / name / str(found[-1])
        read = artifact.read(version_dir)
    except ArtifactError as error:
        raise ModelRefused(str(error)) from error
    try:
        live, precision = _choose(read, placement)
        costs = self_check.measure(live, len(read.manifest.features), read.manifest.graph_dtype)
    except ModelRefused as error:
        raise ModelRefused(f"{version_dir} is refused: {error}") from error
    manifest = read.manifest
    batcher = make_batcher(manifest, live.run, costs)
    load_s = time.perf_counter() - started_s
    _log.info(
        "serving %s version %d (%s, %s) after %.2f s: %.0f µs a run, %.1f µs a row, up to %d rows on the event loop",
        *(manifest.name, manifest.version, live.provider, precision, load_s),
        *(costs.run_s * 1e6, costs.row_s * 1e6, costs.inline_rows),
    )
    return Model(manifest, read.example, live.provider, precision, costs, batcher, load_s)


def _choose(read: Artifact, placement: Placement) -> tuple[Session, str]:
    """A session that proved itself, in int8 where that is wished or, on the CPU, can be had and is shown to be good."""
    full = _proved(read, read.model, placement.provider, "fp32")
    asked, name, graph = placement.precision == "int8", read.manifest.name, read.model_int8
    if placement.precision == "fp32" or (not asked and (full.provider != "cpu" or graph is None)):
        return full, "fp32"
    if graph is None:
        raise ModelRefused("it was published without int8; start with --precision fp32, or publish one that has it")
    if full.provider != "cpu":
        raise ModelRefused("int8 runs on the CPU alone; start with --precision fp32, or with --provider cpu")
    if doubt := _doubt(read.manifest):
        if not asked:
            _log.warning("%s runs in fp32: its int8 graph is not shown to be as good, as %s", name, doubt)
            return full, "fp32"
        _log.warning("%s runs in int8, as --precision asks, though %s", name, doubt)
    try:
        return _proved(read, graph, "cpu", "int8"), "int8"
    except ModelRefused as error:
        reason = str(error).removesuffix(f"; {session.AGAIN}")
        if asked:
            raise ModelRefused(
                f"its int8 graph does not prove itself on this processor, as {reason}; start with --precision auto, "
                "which runs it in fp32 then"
            ) from error
        _log.warning("%s runs in fp32: its int8 graph is refused on this processor: %s", name, reason)
        return full, "fp32"


def _doubt(manifest: Manifest) -> str | None:
    """Why an int8 graph is not to be chosen unasked; None where its manifest shows that it may."""
    if manifest.int8 is None:
        return "its manifest has no figures of both side by side"
    return manifest.int8.fault(manifest.label_texts)


def _proved(read: Artifact, graph: bytes, provider: str, precision: str) -> Session:
    manifest = read.manifest
    sizes = {"features": len(manifest.features), "classes": len(manifest.classes), "targets": len(manifest.targets)}
    live = session.build(graph, provider, **sizes, input_dtype=manifest.graph_dtype, output_dtype=manifest.output_dtype)
    self_check.replay(live, read.golden, manifest, precision)
    return live


class Repository:
    """The live models, by name. ``default`` is the one meant where a request names none."""

    def __init__(self, models: Sequence[Model], default: str | None) -> None:
        self._models = {model.manifest.name: model for model in models}
        if default is None and len(models) == 1:
            default = models[0].manifest.name
        if default is not None and default not in self._models:
            raise StartError(f"--model (MLP_MODEL) is {default!r}, and there are: {', '.join(self._models) or 'none'}")
        self._default = self._models[default] if default is not None else None

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def find(self, name: str | None, version: str | None) -> Model:
        """The live model of that name and version, or the default; `NotFound` tells what there is instead."""
        if name is None:
            if self._default is None:
                raise NotFound(
                    f"there are several models: {', '.join(self._models)}; send to /models/<name>/predict, "
                    "or start the server with --model"
                )
            return self._default
        model = self._models.get(name)
        if model is None:
            raise NotFound(f"there is no model {name!r:.200}; there are: {', '.join(self._models)}")
        if version is not None and version != str(model.manifest.version):
            raise NotFound(
                f"model {name!r} has no version {version!r:.40} here; it is served in version {model.manifest.version}"
            )
        return model
