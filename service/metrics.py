"""Every metric of the server: name, meaning, unit and buckets."""

from __future__ import annotations

import logging
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service import metrics_files
from service.metrics_files import DiskSpace
from service.process_metrics import ServerProcesses
from service.requests import RequestRecord

_log = logging.getLogger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_STAGES: Final = ("decode", "queue", "inference", "encode")
_FIGURES: Final = attrgetter("route", "status", "problem", "duration_s", *(f"{stage}_s" for stage in _STAGES), "rows")
_CONFIDENCE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The metrics of one process.

    Parameters
    ----------
    registry
        Holds the metrics of this process.
    all_workers
        Gathers the metrics of all workers, if there are several.
    space
        The disk space of this worker's files.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        all_workers: CollectorRegistry | None = None,
        space: DiskSpace | None = None,
    ) -> None:
        self._exposed = all_workers or registry
        self._space = space or DiskSpace()
        self._warned_of_drops = False
        self._runs: list[tuple[Callable[..., None], NDArray[np.float32] | None, NDArray[Any]]] = []
        disable_created_metrics()  # type: ignore[no-untyped-call]

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(name, meaning, labels, registry=registry)

        def gauge(
            name: str, meaning: str, *labels: str, over_workers: Literal["livesum", "livemin", "livemax"]
        ) -> Gauge:
            return Gauge(name, meaning, labels, registry=registry, multiprocess_mode=over_workers)

        def histogram(name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, meaning, labels, buckets=buckets, registry=registry)

        self._requests = counter("mlp_requests_total", "Requests answered.", "route", "status")
        self._rejections = counter("mlp_rejections_total", "Requests answered with a problem, by its type.", "reason")
        self._in_flight = gauge(
            "mlp_requests_in_flight", "Requests received and not yet answered.", over_workers="livesum"
        )
        self._duration = histogram(
            "mlp_request_duration_seconds", "Time from a request's headers to its response.", _SECONDS, "route"
        )
        stage = histogram("mlp_stage_duration_seconds", "Time a prediction spent in each stage.", _SECONDS, "stage")
        self._stages = [stage.labels(name) for name in _STAGES]
        self._rows = histogram("mlp_request_rows", "Rows in a prediction request.", _ROWS)
        self._batch_rows = histogram("mlp_batch_rows", "Rows in one run of the network.", _ROWS, "model")
        self._predictions = counter(
            "mlp_predictions_total", "Rows predicted, by predicted label.", "model", "version", "label"
        )
        self._confidence = histogram(
            "mlp_prediction_confidence", "Probability of the predicted label.", _CONFIDENCE, "model", "version"
        )
        self._values = Summary(
            "mlp_prediction_value",
            "Predicted values of a regression's target, in its unit; the sum can decrease.",
            ("model", "version", "target"),
            registry=registry,
        )
        self._model = gauge(
            "mlp_model_info",
            "1 for each served model.",
            "model",
            "version",
            "provider",
            "precision",
            over_workers="livemax",
        )
        self._load = gauge(
            "mlp_model_load_seconds",
            "Time to read, check and warm up the model.",
            "model",
            "version",
            over_workers="livemax",
        )
        self._load_failures = counter("mlp_model_load_failures_total", "Models refused at load.", "model")
        self._fallback = gauge(
            "mlp_gpu_fallback",
            "1 if the model runs on the CPU although the provider is not cpu, else 0.",
            "model",
            over_workers="livemax",
        )
        self._ready = gauge(
            "mlp_ready", "1 while the server and all its workers take traffic, else 0.", over_workers="livemin"
        )
        self._workers = gauge("mlp_workers", "Processes that answer requests.", over_workers="livesum")
        self._starts = counter("mlp_worker_starts_total", "Worker starts.")
        self._deaths = counter("mlp_worker_deaths_total", "Unexpected worker exits.")
        self._log_lines = counter(
            "mlp_log_lines_dropped_total", "Log lines dropped because the log's reader was too slow or its disk full."
        )
        self._dropped_label_sets = counter(
            "mlp_label_sets_dropped_total", "New label sets not counted because the metrics folder was full."
        )

    def exposition(self) -> bytes:
        """The metrics of all workers in Prometheus's text format, with content type `CONTENT_TYPE`."""
        self._count_runs()
        return generate_latest(self._exposed)

    def requests(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests, and the network's runs so far."""
        self._count_runs()
        self._count_dropped_label_sets()
        routes, statuses, problems, *figures = zip(*map(_FIGURES, records), strict=True)
        seconds, rows = np.array(figures[:-1]), np.array(figures[-1])  # (stages, records) and (records,)
        responses = list(zip(routes, statuses, strict=True))
        for response, count in Counts(responses).items():
            route, status = response
            selected = [each == response for each in responses] if count < len(responses) else slice(None)
            self._requests.labels(route, str(status)).inc(count)
            observe_all(self._duration.labels(route), seconds[0, selected])
        for problem, count in Counts(filter(None, problems)).items():
            self._rejections.labels(problem).inc(count)
        predicted = (np.array(statuses) == 200) & (rows > 0)
        if predicted.any():
            observe_all(self._rows, rows[predicted])
            for stage, took_s in zip(self._stages, seconds[1:, predicted], strict=True):
                observe_all(stage, took_s)

    def in_flight(self, count: int) -> None:
        """Set the number of open requests."""
        self._in_flight.set(count)

    def state(self, *, ready: bool, answering: bool) -> None:
        """Set whether the server takes traffic and whether this process answers requests. The start is over."""
        self._ready.set(ready)
        self._workers.set(answering)
        self._space.required = False

    def log_lines_dropped(self, lines: int) -> None:
        """Count dropped log lines."""
        self._log_lines.inc(lines)

    def started(self) -> None:
        """Count the start of this process."""
        self._starts.inc()

    def ended(self) -> None:
        """Count an unexpected exit of a worker."""
        self._deaths.inc()

    def loaded(self, model: str, version: int, provider: str, precision: str, load_s: float) -> None:
        """Record a served model, where it runs and how long loading took."""
        self._model.labels(model, str(version), provider, precision).set(1)
        self._load.labels(model, str(version)).set(load_s)
        self._load_failures.labels(model)

    def unloaded(self, model: str, version: int, provider: str, precision: str) -> None:
        """Say that a version is not served any more."""
        self._model.labels(model, str(version), provider, precision).set(0)

    def fallback(self, model: str, *, on_cpu: bool) -> None:
        """Set whether a model runs on the CPU although a GPU was requested."""
        self._fallback.labels(model).set(on_cpu)

    def refused(self, model: str) -> None:
        """Count a model that failed its checks."""
        self._load_failures.labels(model).inc()

    def batches(self, model: str, version: int, labels: Sequence[str]) -> Callable[..., None]:
        """A function to call after each run with its ``probabilities`` (rows, classes) and ``prediction`` (rows,)."""
        counters = [self._predictions.labels(model, str(version), label) for label in labels]
        confidence = self._confidence.labels(model, str(version))
        batch_rows = self._batch_rows.labels(model)

        def count(probabilities: Sequence[NDArray[np.float32]], predictions: Sequence[NDArray[np.int64]]) -> None:
            observe_all(batch_rows, np.array([len(each) for each in predictions]))
            counts = np.bincount(np.concatenate(predictions), minlength=len(counters))
            for index in np.flatnonzero(counts).tolist():
                counters[index].inc(int(counts[index]))
            observe_all(confidence, np.concatenate(probabilities).max(axis=1))

        return self._buffered(count)

    def regressions(self, model: str, version: int, targets: Sequence[str]) -> Callable[..., None]:
        """The same for a regression: ``probabilities`` are None and ``prediction`` is (rows, targets)."""
        summaries = [self._values.labels(model, str(version), target) for target in targets]
        batch_rows = self._batch_rows.labels(model)

        def count(_probabilities: Sequence[None], predictions: Sequence[NDArray[np.float32]]) -> None:
            observe_all(batch_rows, np.array([len(each) for each in predictions]))
            values = np.concatenate(predictions)
            for summary, total in zip(summaries, values.sum(axis=0, dtype=np.float64).tolist(), strict=True):
                add_to_summary(summary, len(values), total)

        return self._buffered(count)

    def _buffered(self, count: Callable[..., None]) -> Callable[..., None]:
        """A function that keeps a run's outputs, so that several runs are counted together."""

        def ran(probabilities: NDArray[np.float32] | None, prediction: NDArray[Any]) -> None:
            self._runs.append((count, probabilities, prediction))

        return ran

    def _count_dropped_label_sets(self) -> None:
        dropped, self._space.dropped_label_sets = self._space.dropped_label_sets, 0
        if dropped:
            if not self._warned_of_drops:
                _log.error("the metrics folder is full: new label sets are not counted")
            self._warned_of_drops = True
            self._dropped_label_sets.inc(dropped)

    def _count_runs(self) -> None:
        runs, self._runs = self._runs, []
        for count in dict.fromkeys(count for count, _, _ in runs):
            _, probabilities, predictions = zip(*(run for run in runs if run[0] is count), strict=True)
            count(probabilities, predictions)


def observe_all(histogram: Histogram, values: NDArray[Any]) -> None:
    """Like ``histogram.observe(value)`` for each of the values, but lock each bucket once."""
    # prometheus_client has no public way to do this. A test compares it with observe().
    counts = np.bincount(np.array(histogram._upper_bounds).searchsorted(values))  # noqa: SLF001
    for index in counts.nonzero()[0].tolist():
        histogram._buckets[index].inc(int(counts[index]))  # noqa: SLF001
    histogram._sum.inc(float(values.sum(dtype=np.float64)))  # noqa: SLF001


def add_to_summary(summary: Summary, count: int, total: float) -> None:
    """Like ``summary.observe(value)`` for ``count`` values with this ``total``, but lock once."""
    # As above.
    summary._count.inc(count)  # noqa: SLF001
    summary._sum.inc(total)  # noqa: SLF001


def alone() -> Metrics:
    """Metrics of a server with one process."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    metrics = Metrics(registry)
    metrics.started()
    return metrics


def worker(index: int, folder: Path) -> Metrics:
    """Metrics of one of several worker processes, any of which answers a scrape for all.

    Values are in files of ``folder``, named by the worker's ``index``: a worker that replaces a dead one continues its
    counters. Raises `StartError` if there is no space for a file, until the first `Metrics.state`; later, new label
    sets are dropped.
    """
    space = metrics_files.use_files(index, folder)
    all_workers = CollectorRegistry()
    MultiProcessCollector(all_workers)  # type: ignore[no-untyped-call]
    PlatformCollector(all_workers)
    all_workers.register(ServerProcesses())
    metrics = Metrics(CollectorRegistry(), all_workers, space)
    metrics.started()
    return metrics


def mark_absent(index: int, folder: Path, *, died: bool) -> None:
    """Record that a worker does not run: it has not started yet, or it ``died``.

    Called by the process that starts and replaces the workers. Raises `StartError` if there is no space for its files.
    """
    space = metrics_files.use_files(index, folder)
    metrics_files.reset_live_gauges(index, folder, space)
    metrics = Metrics(CollectorRegistry(), space=space)
    if died:
        metrics.ended()
    metrics_files.close_files()
