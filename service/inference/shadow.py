"""Runs a shadow version on served rows, in a thread of low priority, and compares its answers with those served."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import StartError
from service.inference.session import Outputs
from service.inference.spare_time import SpareTime
from service.manifest import Manifest
from service.metrics.shadow import Comparison, Reason, ShadowCounts, ShadowMetrics

_log = logging.getLogger(__name__)

# Rows of one run that are compared at most; copying them takes a fraction of a millisecond.
MAX_ROWS: Final = 256
# A run that takes longer hangs, and is ended.
HUNG_S: Final = 10.0
# Low, but not the lowest: a thread that gets no time at all might hold Python's lock meanwhile.
_NICENESS: Final = 10


class Candidate(NamedTuple):
    """A version that passed its self-check; how to run it on rows in the dtype of its graph, and how to end a run."""

    manifest: Manifest
    run: Callable[[NDArray[Any]], Outputs]
    stop: Callable[[], None]


class _Batch(NamedTuple):
    serving: int
    rows: NDArray[Any]
    outputs: Outputs


def difference(candidate: Manifest, serving: Manifest) -> str | None:
    """Why answers of the two versions to the same rows cannot be compared, as a clause; None if they can."""
    for name in ("task", "classes", "targets", "input_shape", "input_dtype"):
        own, other = getattr(candidate, name), getattr(serving, name)
        if own != other:
            return f"its {name!r} is {own!r:.100}, and {other!r:.100} in version {serving.version}"
    for own, other in zip(candidate.features, serving.features, strict=True):
        if own.encoding != other.encoding:
            return f"its feature {own.name!r:.60} differs from {other.name!r:.60} of version {serving.version}"
        for what, accepts, needed in (("missing", own.missing, other.missing), ("unknown", own.other, other.other)):
            if needed and not accepts:
                return (
                    f"its feature {own.name!r:.60} takes no {what} values, and that of version {serving.version} does"
                )
    return None


class Shadow:
    """Compares ``candidate`` with the versions that serve the same model.

    A run is compared only if the thread is idle, and never waited for: the others are counted as skipped. ``clock``
    gives seconds; ``rest_s`` how long to rest after a run, by default what `SpareTime` says. ``metric_targets`` of a
    regression's targets have metrics, by default all.
    """

    def __init__(
        self,
        candidate: Candidate,
        metrics: ShadowMetrics,
        *,
        clock: Callable[[], float],
        rest_s: Callable[[], Callable[[], float]] = lambda: SpareTime().rest_s,
        metric_targets: int | None = None,
    ) -> None:
        manifest = self._manifest = candidate.manifest
        self._run, self._stop = candidate.run, candidate.stop
        self._clock = clock
        self._rest_s = rest_s
        targets = manifest.targets[:metric_targets] if not manifest.classes else ()
        self._counts: ShadowCounts = metrics.watch(manifest.name, manifest.version, targets)
        self._idle = True  # false from `observe` until the thread has run and rested
        self._began_s = 0.0
        self._began_rows = 0
        self._hung = self._failed_before = False
        self._differences: dict[int, str | None] = {}
        self._batches: SimpleQueue[_Batch | None] = SimpleQueue()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self, serving: Manifest) -> None:
        """Raise `StartError` if the candidate cannot be compared with ``serving``."""
        reason = difference(self._manifest, serving)
        if reason is not None:
            raise StartError(
                f"--shadow (MLP_SHADOW): {self._manifest.name}@{self._manifest.version} cannot be compared with the "
                f"version that is served, as {reason}; choose a version with the same features and labels"
            )

    def observer(self, serving: Manifest) -> ShadowOf:
        """What observes the runs of one serving version."""
        return ShadowOf(self, serving)

    def observe(self, serving: Manifest, rows: NDArray[Any], outputs: Outputs) -> None:
        """Compare a run of ``serving`` if there is time for it. Copies ``rows`` (rows, features); never waits."""
        if not self._idle:
            self._skip(len(rows))
            return
        if self._closed.is_set() or not self._fits(serving):
            return
        count = min(len(rows), MAX_ROWS)
        self._counts.skipped_rows += len(rows) - count
        self._idle, self._hung = False, False
        self._began_s, self._began_rows = self._clock(), count
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)  # it may hang
            self._thread.start()
        dtype = self._manifest.graph_dtype
        self._batches.put(_Batch(serving.version, np.array(rows[:count], dtype, order="C"), outputs.rows(0, count)))

    def close(self) -> None:
        """Compare no more. A run that has begun is ended, and not waited for."""
        self._closed.set()
        self._batches.put(None)
        self._stop()

    def _skip(self, rows: int) -> None:
        if self._closed.is_set():
            return
        self._counts.skipped_rows += rows
        if not self._hung and self._clock() - self._began_s > HUNG_S:
            self._hung = True
            self._fail("hung", self._began_rows)
            self._stop()

    def _fits(self, serving: Manifest) -> bool:
        """Whether this version can be compared. Logs once why not."""
        if serving.version == self._manifest.version:
            _log.info(
                "%s version %d is served now, and not compared any more", self._manifest.name, self._manifest.version
            )
            self.close()
            return False
        if serving.version not in self._differences:
            reason = self._differences[serving.version] = difference(self._manifest, serving)
            if reason is not None:
                _log.error(
                    "shadow version %d of %s is not compared with version %d: %s",
                    *(self._manifest.version, self._manifest.name, serving.version, reason),
                )
        return self._differences[serving.version] is None

    def _work(self) -> None:
        """In the thread: compare one batch after another, with rests."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)  # on Linux, of this thread alone
        rest_s = self._rest_s()
        while (batch := self._batches.get()) is not None:
            self._compare(batch)
            self._closed.wait(rest_s())
            self._idle = True

    def _compare(self, batch: _Batch) -> None:
        began_s = self._clock()
        try:
            answers = self._run(batch.rows)
            self._report(batch, answers, self._clock() - began_s)
        except Exception:  # noqa: BLE001 - a candidate's failure is counted and concerns nobody else
            if not (self._hung or self._closed.is_set()):  # else it was ended
                self._fail("raised", len(batch.rows), trace=True)

    def _report(self, batch: _Batch, answers: Outputs, run_s: float) -> None:
        served = batch.outputs
        overflowed = answers.overflowed()
        if len(overflowed):
            self._fail("not-finite", len(overflowed))
            answers, served = answers.without(overflowed), served.without(overflowed)
        rows = len(served.prediction)
        agreed = 0
        if answers.probabilities is None or served.probabilities is None:
            changes = np.abs(answers.prediction.astype(np.float64) - served.prediction).sum(axis=0).tolist()
        else:
            agreed = int((answers.prediction == served.prediction).sum())
            label = (np.arange(rows), served.prediction)
            changes = [float(np.abs(answers.probabilities[label] - served.probabilities[label]).sum(dtype=np.float64))]
        self._counts.comparisons.append(Comparison(batch.serving, rows, agreed, changes, run_s))

    def _fail(self, reason: Reason, rows: int, *, trace: bool = False) -> None:
        self._counts.failures.append((reason, rows))
        if not self._failed_before:
            self._failed_before = True
            _log.error(
                "shadow version %d of %s failed on %d rows (%s); later failures are only counted, in "
                "mlp_shadow_failed_rows_total",
                *(self._manifest.version, self._manifest.name, rows, reason),
                exc_info=trace,
            )


class ShadowOf:
    """Shows the runs of one serving version to a `Shadow`."""

    def __init__(self, shadow: Shadow, serving: Manifest) -> None:
        self._shadow = shadow
        self._serving = serving

    def observe(self, rows: NDArray[Any], outputs: Outputs) -> None:
        """Compare a run if there is time for it."""
        self._shadow.observe(self._serving, rows, outputs)

    def close(self) -> None:
        """The shadow goes on with the next version."""


class Shadows:
    """The shadow versions of a server, one of a model at most; ``metric_targets`` as for each `Shadow`."""

    def __init__(self, metric_targets: int | None = None) -> None:
        self._metric_targets = metric_targets
        self._by_model: dict[str, Shadow] = {}

    def add(self, candidate: Candidate, metrics: ShadowMetrics, clock: Callable[[], float]) -> None:
        """Compare ``candidate`` with the versions that are served."""
        shadow = Shadow(candidate, metrics, clock=clock, metric_targets=self._metric_targets)
        self._by_model[candidate.manifest.name] = shadow

    def check(self, serving: Iterable[Manifest]) -> None:
        """Raise `StartError` if one cannot be compared with the version that is served."""
        for manifest in serving:
            if manifest.name in self._by_model:
                self._by_model[manifest.name].check(manifest)

    def observers(self, serving: Manifest) -> list[ShadowOf]:
        """What observes the runs of one serving version, if its model has a shadow version."""
        shadow = self._by_model.get(serving.name)
        return [] if shadow is None else [shadow.observer(serving)]

    def close(self) -> None:
        """Compare no more."""
        for shadow in self._by_model.values():
            shadow.close()
