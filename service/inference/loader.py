"""Makes a served model of a published version: read, verify, build, self-check, measure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from service import artifact
from service.artifact import Artifact
from service.errors import ModelRefused, RequestError
from service.inference import self_check, session
from service.inference.batcher import Batcher
from service.inference.metric_labels import metric_labels
from service.inference.model import Model
from service.inference.observers import Observer, together
from service.inference.schema import Schema
from service.inference.session import LimitedSession, Session, StoppableRun
from service.inference.shadow import Candidate
from service.manifest import REGRESSION, ArtifactError, Manifest
from service.metrics.models import Count, ModelMetrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network should run, and in which arithmetic: ``auto`` picks the best that is available."""

    provider: str
    precision: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """A network that is ready to run, its precision, and why that is not int8 (None if it is)."""

    network: Session
    precision: str
    why_not_int8: str | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows a request may have, how many the queue of a model holds, and how long a request may wait in it.

    ``metric_labels`` is how many labels or targets of a model have metrics of their own. With ``impute`` values that
    training never saw are accepted.
    """

    request_rows: int
    queue_rows: int
    queue_s: float
    metric_labels: int = 100
    impute: bool = False


class Loader:
    """Loads versions in ``folder``, and reports them to ``metrics``.

    ``check_example`` raises `RequestError` or `ValueError` if a model does not accept its own example request.
    ``observers`` gives what looks at the runs of a version. Each check of a network may take ``check_limit_s``.
    """

    def __init__(
        self,
        folder: Path,
        placement: Placement,
        metrics: ModelMetrics,
        bounds: Bounds,
        *,
        clock: Callable[[], float],
        check_example: Callable[[bytes, Schema], None],
        observers: Callable[[Manifest], Sequence[Observer]] = lambda _manifest: (),
        check_limit_s: float = self_check.LIMIT_S,
    ) -> None:
        self.folder = folder
        self._placement = placement
        self._metrics = metrics
        self._bounds = bounds
        self._clock = clock
        self._check_example = check_example
        self._observers = observers
        self._check_limit_s = check_limit_s

    def load(self, name: str, version: int, running: Model | None = None) -> Model:
        """Load a version, or return the ``running`` one if its files say the same.

        Raises `ModelRefused` with the reason if the version fails a check, and `ProviderUnavailable`.
        """
        started_s = time.perf_counter()
        version_dir = self.folder / name / str(version)
        try:
            published = artifact.read(version_dir)
            if running is not None and running.manifest == published.manifest:
                return running  # the manifest has the hashes of all files
            model = self._build(version_dir, published, started_s)
        except ArtifactError as error:
            raise ModelRefused(str(error)) from error
        self._metrics.loaded(name, version, model.load_s)
        self._metrics.fallback(name, on_cpu=self._placement.provider != "cpu" and model.provider == "cpu")
        costs = model.costs
        _log.info(
            "loaded %s version %d (%s, %s) after %.2f s: %.0f µs a run, %.1f µs a row, up to %d rows on the event loop",
            *(name, version, model.provider, model.precision, model.load_s),
            *(costs.run_s * 1e6, costs.row_s * 1e6, costs.inline_rows),
        )
        return model

    def load_shadows(self, versions: Mapping[str, int]) -> list[Candidate]:
        """Load ``versions`` by model to be compared with those served, and never serve them.

        Raises `ModelRefused` if one fails a check.
        """
        return [self._load_shadow(name, version) for name, version in versions.items()]

    def _load_shadow(self, name: str, version: int) -> Candidate:
        version_dir = self.folder / name / str(version)
        try:
            published = artifact.read(version_dir)
            choice = _choose(published, self._placement, self._check_limit_s)
        except (ArtifactError, ModelRefused) as error:
            raise ModelRefused(f"--shadow (MLP_SHADOW) {name}@{version} cannot be used: {error}") from error
        _log.info("comparing %s version %d (%s, %s)", name, version, choice.network.provider, choice.precision)
        run = StoppableRun(choice.network)
        return Candidate(published.manifest, run, run.stop)

    def _build(self, version_dir: Path, published: Artifact, started_s: float) -> Model:
        manifest = published.manifest
        try:
            choice = _choose(published, self._placement, self._check_limit_s)
            network = choice.network
            # On a CPU the network runs in this thread, which may wait for others while a server is busy.
            clock = time.thread_time if network.provider == "cpu" else time.perf_counter
            with LimitedSession(network, self._check_limit_s) as limited:
                costs = self_check.measure(limited, len(manifest.features), manifest.graph_dtype, clock)
        except ModelRefused as error:
            raise ModelRefused(f"{version_dir} is refused: {error}") from error
        schema = Schema.of(manifest, self._bounds.request_rows, impute=self._bounds.impute)
        try:
            self._check_example(published.example, schema)
        except (ValueError, RequestError) as error:
            path = version_dir / artifact.EXAMPLE
            raise ModelRefused(
                f"{path} is no request that the model takes ({error}); publish the model again"
            ) from error
        watching = self._observers(manifest)
        batcher = Batcher(
            network.run,
            costs,
            features=len(manifest.features),
            queue_rows=self._bounds.queue_rows,
            max_queue_s=self._bounds.queue_s,
            clock=self._clock,
            ran=together(self._count(manifest), watching),
            dtype=manifest.graph_dtype,
        )
        load_s = time.perf_counter() - started_s

        def closed() -> None:
            for observer in watching:
                observer.close()

        return Model(
            manifest,
            published.example,
            network.provider,
            choice.precision,
            load_s,
            schema,
            batcher,
            network.run,
            why_not_int8=choice.why_not_int8,
            on_close=closed,
        )

    def _count(self, manifest: Manifest) -> Count:
        """What counts the runs of this version."""
        if manifest.task == REGRESSION:
            targets = manifest.targets[: self._bounds.metric_labels]
            return self._metrics.regressions(manifest.name, manifest.version, targets)
        labels = metric_labels(manifest, self._bounds.metric_labels)
        return self._metrics.batches(manifest.name, manifest.version, labels)


def _choose(published: Artifact, placement: Placement, check_limit_s: float) -> _Choice:
    """A session that passed its self-check, and its precision.

    It is int8 if that was requested, or, on the CPU, if the manifest and the golden rows show it to be as accurate. A
    graph that is not needed is neither built nor checked.
    """

    @cache
    def full() -> Session:
        return _checked(published, published.model, placement.provider, "fp32", check_limit_s)

    provider = "cpu" if session.means_cpu(placement.provider) else full().provider
    if reason := _why_fp32(published, placement, provider):
        return _Choice(full(), "fp32", reason)
    name, requested, graph = published.manifest.name, placement.precision == "int8", published.model_int8
    assert graph is not None  # noqa: S101 - else there is a reason for fp32
    if doubt := _doubt(published.manifest):
        if not requested:
            _log.warning("%s runs in fp32: its int8 graph is not shown to be as good, as %s", name, doubt)
            return _Choice(full(), "fp32", f"the int8 graph is not shown to be as good, as {doubt}")
        _log.warning("%s runs in int8, as --precision asks, though %s", name, doubt)
    try:
        network = _checked(published, graph, "cpu", "int8", check_limit_s)
    except ModelRefused as error:
        reason = str(error).removesuffix(f"; {session.AGAIN}")
        if requested:
            raise ModelRefused(
                f"its int8 graph fails the self-check on this processor: {reason}; start with --precision auto, "
                "which then runs it in fp32"
            ) from error
        _log.warning("%s runs in fp32: its int8 graph fails the self-check on this processor: %s", name, reason)
        return _Choice(full(), "fp32", f"the int8 graph fails the self-check on this processor: {reason}")
    if fault := self_check.int8_fault(published.golden, published.manifest):
        if not requested:
            _log.warning("%s runs in fp32: its int8 graph is not as good: %s; publish it again", name, fault)
            return _Choice(full(), "fp32", f"the int8 graph is not as good: {fault}")
        _log.warning("%s runs in int8, as --precision asks, though %s", name, fault)
    return _Choice(network, "int8", None)


def _why_fp32(published: Artifact, placement: Placement, provider: str) -> str | None:
    """Why the int8 graph is not even considered; None if it is. Raises `ModelRefused` if it was requested."""
    requested, reason = placement.precision == "int8", published.manifest.no_int8
    if placement.precision == "fp32":
        return "--precision (MLP_PRECISION) is fp32"
    if published.model_int8 is None:
        if requested:
            raise ModelRefused("it was published without int8; start with --precision fp32, or publish one that has it")
        return "it was published without int8" + (f": {reason}" if reason else "")
    if provider != "cpu":
        if requested:
            raise ModelRefused("int8 runs on the CPU alone; start with --precision fp32, or with --provider cpu")
        return "int8 runs on the CPU alone"
    return None


def _doubt(manifest: Manifest) -> str | None:
    """Why an int8 graph is used only on request; None if the manifest shows that it is as accurate."""
    if manifest.int8 is None:
        return "its manifest has no figures of both side by side"
    return manifest.int8.fault(manifest.label_texts)


def _checked(published: Artifact, graph: bytes, provider: str, precision: str, limit_s: float) -> Session:
    """A session of ``graph`` that answers the golden rows as published."""
    manifest = published.manifest
    network = session.build(
        graph,
        provider,
        features=len(manifest.features),
        classes=len(manifest.classes),
        targets=len(manifest.targets),
        input_dtype=manifest.graph_dtype,
        output_dtype=manifest.output_dtype,
    )
    with LimitedSession(network, limit_s) as limited:
        self_check.replay(limited, published.golden, manifest, precision)
    return network
