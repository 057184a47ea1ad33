"""Every metric: its name, meaning, unit and buckets. The only importer of prometheus_client."""

from __future__ import annotations

import logging
import os
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
    values,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.errors import StartError
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
# In a worker's file of values: room for what is yet to come, and what an entry takes beside its name, at most.
_AHEAD_BYTES: Final = 64 * 1024
_ENTRY_BYTES: Final = 32
# Counters, histograms, summaries, and gauges of three kinds.
_WORKER_BYTES: Final = 6 * 2 * _AHEAD_BYTES
_CONFIDENCE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """All metrics of the server in one registry of its own.

    ``shared`` is the registry that gathers those of all workers, where there are several, and ``room`` that in their
    files.
    """

    def __init__(
        self, registry: CollectorRegistry, shared: CollectorRegistry | None = None, room: Room | None = None
    ) -> None:
        self._shared = shared
        self._room = room or Room()
        self._left_out_before = False
        self._registry = registry
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
            "mlp_request_duration_seconds", "From the end of a request's headers to its answer.", _SECONDS, "route"
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
            "Predicted value of a regression's target, in its own unit; the sum falls where values are negative.",
            ("model", "version", "target"),
            registry=registry,
        )
        self._model = gauge(
            "mlp_model_info",
            "1 for each model that is served.",
            "model",
            "version",
            "provider",
            "precision",
            over_workers="livemax",
        )
        self._load = gauge(
            "mlp_model_load_seconds",
            "Time to read, prove and warm up the model.",
            "model",
            "version",
            over_workers="livemax",
        )
        self._load_failures = counter("mlp_model_load_failures_total", "Models refused at load.", "model")
        self._fallback = gauge(
            "mlp_gpu_fallback",
            "1 for a model that runs on the CPU though the provider was not set to cpu, else 0.",
            "model",
            over_workers="livemax",
        )
        self._ready = gauge(
            "mlp_ready", "1 while the server, with all its workers, takes traffic, else 0.", over_workers="livemin"
        )
        self._workers = gauge(
            "mlp_workers", "Processes that answer requests, each in one thread.", over_workers="livesum"
        )
        self._starts = counter("mlp_worker_starts_total", "Starts of workers.")
        self._deaths = counter("mlp_worker_deaths_total", "Ends of workers that nobody had told to stop.")
        self._log_lines = counter(
            "mlp_log_lines_dropped_total", "Lines of the log for which its reader or its disk had no room."
        )
        self._left_out = counter(
            "mlp_label_sets_dropped_total", "Sets of labels that are not counted, as the metrics' folder had no room."
        )

    def exposition(self) -> bytes:
        """All metrics, of all workers, in Prometheus's text format, of content type `CONTENT_TYPE`."""
        self._count_runs()
        return generate_latest(self._registry if self._shared is None else self._shared)

    def requests(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests, and the network's runs up to now."""
        self._count_runs()
        self._count_left_out()
        routes, statuses, problems, *figures = zip(*map(_FIGURES, records), strict=True)
        seconds, rows = np.array(figures[:-1]), np.array(figures[-1])  # (stages, records) and (records,)
        answers = list(zip(routes, statuses, strict=True))
        for answer, count in Counts(answers).items():
            route, status = answer
            of_these = [each == answer for each in answers] if count < len(answers) else slice(None)
            self._requests.labels(route, str(status)).inc(count)
            _observe(self._duration.labels(route), seconds[0, of_these])
        for problem, count in Counts(filter(None, problems)).items():
            self._rejections.labels(problem).inc(count)
        predicted = (np.array(statuses) == 200) & (rows > 0)
        if predicted.any():
            _observe(self._rows, rows[predicted])
            for stage, took_s in zip(self._stages, seconds[1:, predicted], strict=True):
                _observe(stage, took_s)

    def in_flight(self, count: int) -> None:
        """Say how many requests are open."""
        self._in_flight.set(count)

    def state(self, *, ready: bool, answering: bool) -> None:
        """Say whether the server takes traffic, and whether this process answers what comes; its start is over."""
        self._ready.set(ready)
        self._workers.set(answering)
        self._room.needed = False

    def log_lines_dropped(self, lines: int) -> None:
        """Count lines that are missing in the log."""
        self._log_lines.inc(lines)

    def started(self) -> None:
        """Count this process."""
        self._starts.inc()

    def ended(self) -> None:
        """Count the end of a worker."""
        self._deaths.inc()

    def loaded(self, model: str, version: int, provider: str, precision: str, load_s: float) -> None:
        """Say what is served, where it runs and how long it took to get there."""
        self._model.labels(model, str(version), provider, precision).set(1)
        self._load.labels(model, str(version)).set(load_s)
        self._load_failures.labels(model)

    def unloaded(self, model: str, version: int, provider: str, precision: str) -> None:
        """Say that a version is not served any more."""
        self._model.labels(model, str(version), provider, precision).set(0)

    def fallback(self, model: str, *, on_cpu: bool) -> None:
        """Say whether a model for which a GPU was wished runs on the CPU."""
        self._fallback.labels(model).set(on_cpu)

    def refused(self, model: str) -> None:
        """Count a model that did not prove itself."""
        self._load_failures.labels(model).inc()

    def batches(self, model: str, version: int, labels: Sequence[str]) -> Callable[..., None]:
        """A function to call after each run with its ``probabilities`` (rows, classes) and ``prediction`` (rows,)."""
        counters = [self._predictions.labels(model, str(version), label) for label in labels]
        confidence = self._confidence.labels(model, str(version))
        batch_rows = self._batch_rows.labels(model)

        def count(probabilities: Sequence[NDArray[np.float32]], predictions: Sequence[NDArray[np.int64]]) -> None:
            _observe(batch_rows, np.array([len(each) for each in predictions]))
            counts = np.bincount(np.concatenate(predictions), minlength=len(counters))
            for index in np.flatnonzero(counts).tolist():
                counters[index].inc(int(counts[index]))
            _observe(confidence, np.concatenate(probabilities).max(axis=1))

        return self._gathered(count)

    def regressions(self, model: str, version: int, targets: Sequence[str]) -> Callable[..., None]:
        """The same for a regression, whose ``probabilities`` are None and ``prediction`` (rows, targets)."""
        summaries = [self._values.labels(model, str(version), target) for target in targets]
        batch_rows = self._batch_rows.labels(model)

        def count(_probabilities: Sequence[None], predictions: Sequence[NDArray[np.float32]]) -> None:
            _observe(batch_rows, np.array([len(each) for each in predictions]))
            values = np.concatenate(predictions)
            for summary, total in zip(summaries, values.sum(axis=0, dtype=np.float64).tolist(), strict=True):
                _summarise(summary, len(values), total)

        return self._gathered(count)

    def _gathered(self, count: Callable[..., None]) -> Callable[..., None]:
        """A function that keeps a run's outputs until several are counted together, each output as a sequence."""

        def ran(probabilities: NDArray[np.float32] | None, prediction: NDArray[Any]) -> None:
            self._runs.append((count, probabilities, prediction))

        return ran

    def _count_left_out(self) -> None:
        left_out, self._room.left_out = self._room.left_out, 0
        if left_out:
            if not self._left_out_before:
                _log.error("the metrics' folder has no room: sets of labels that are new are not counted")
            self._left_out_before = True
            self._left_out.inc(left_out)

    def _count_runs(self) -> None:
        runs, self._runs = self._runs, []
        for count in dict.fromkeys(count for count, _, _ in runs):
            _, probabilities, predictions = zip(*(run for run in runs if run[0] is count), strict=True)
            count(probabilities, predictions)


def _observe(histogram: Histogram, values: NDArray[Any]) -> None:
    """What ``histogram.observe(value)`` does for each value, locking each bucket once and not once a value."""
    # prometheus_client has no public way to do this; a test holds it against observe().
    counts = np.bincount(np.array(histogram._upper_bounds).searchsorted(values))  # noqa: SLF001
    for index in counts.nonzero()[0].tolist():
        histogram._buckets[index].inc(int(counts[index]))  # noqa: SLF001
    histogram._sum.inc(float(values.sum(dtype=np.float64)))  # noqa: SLF001


def _summarise(summary: Summary, count: int, total: float) -> None:
    """What ``summary.observe(value)`` does for each of ``count`` values of that ``total``, locking once."""
    # As above.
    summary._count.inc(count)  # noqa: SLF001
    summary._sum.inc(total)  # noqa: SLF001


def alone() -> Metrics:
    """Metrics of a process that is the whole server."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    counted = Metrics(registry)
    counted.started()
    return counted


def worker(index: int, folder: Path) -> Metrics:
    """Metrics of one of several worker processes, each of which answers a scrape for all of them.

    Values live in files of ``folder``, by the worker's ``index`` and not by its process: a worker that replaces a dead
    one goes on counting where that stopped, so counters never fall and files never pile up. Raises `StartError`, until
    the first `Metrics.state`, where there is no room for a file; a set of labels that comes later is then left out.
    https://prometheus.github.io/client_python/multiprocess/
    """
    room = _count_in(index, folder)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    PlatformCollector(shared)
    shared.register(_Processes())
    counted = Metrics(CollectorRegistry(), shared, room)
    counted.started()
    return counted


def absent(index: int, folder: Path, *, died: bool) -> None:
    """Say for a worker that does not run, yet or any more, that it is not ready and answers nothing.

    For the process that starts and replaces the workers. Raises `StartError` where there is no room for its files.
    """
    room = _count_in(index, folder)
    for path in folder.glob(f"gauge_live*_{index}.db"):
        file = _File(room, str(path))
        for key in file.keys():  # noqa: SIM118 - it is no dict
            file.write_value(key, 0.0, 0.0)
        file.close()  # type: ignore[no-untyped-call]
    counted = Metrics(CollectorRegistry(), room=room)
    if died:
        counted.ended()
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def _count_in(index: int, folder: Path) -> Room:
    """Have the next metrics' values in files of ``folder``; the room in them."""
    room = Room()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.MmapedDict = partial(_File, room)  # type: ignore[assignment,attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]
    return room


class Room:
    """Whether a worker's files must have room for each set of labels, and for how many there was none since."""

    def __init__(self) -> None:
        self.needed = True
        self.left_out = 0


class _File(MmapedDict):
    """prometheus_client's file of values, which has its room on the disk before anything is written there.

    A file is sparse otherwise, and where the disk is full, writing into the mapping ends the process with SIGBUS. There
    is always room for `_AHEAD_BYTES` more than is used: what a worker meets after its start, statuses and routes, fits.
    """

    def __init__(self, room: Room, filename: str) -> None:
        self._room = room
        self._allocated_bytes = 0
        path = Path(filename)
        new = path if path.exists() else path.with_suffix(".new")  # a scrape, of another process, reads what is there
        try:
            with new.open("ab") as file:
                self._allocate(file.fileno(), 2 * _AHEAD_BYTES)
            new.rename(path)
        except OSError as error:
            raise _no_room(path, 2 * _AHEAD_BYTES, error) from error
        super().__init__(filename)  # type: ignore[no-untyped-call]
        self._make_room(0)

    def keys(self) -> Sequence[str]:
        """The series that are in the file."""
        return [key for key, *_ in self.read_all_values()]  # type: ignore[no-untyped-call]

    def read_value(self, key: str) -> tuple[float, float]:
        """The value and its time; a new series begins with 0, and stays there where there is no room for it."""
        if key not in self._positions and not self._make_room(len(key.encode()) + _ENTRY_BYTES):
            self._room.left_out += 1
            return 0.0, 0.0
        return super().read_value(key)  # type: ignore[no-any-return,no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set the value of a series that is in the file."""
        if key in self._positions:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _make_room(self, size_bytes: int) -> bool:
        end_bytes: int = self._used + size_bytes
        if end_bytes + _AHEAD_BYTES > self._allocated_bytes:
            needed_bytes = -(-(end_bytes + _AHEAD_BYTES) // _AHEAD_BYTES) * _AHEAD_BYTES
            try:
                self._allocate(self._f.fileno(), needed_bytes)
            except OSError as error:
                if self._room.needed:
                    raise _no_room(Path(self._fname), needed_bytes, error) from error
        return end_bytes <= self._allocated_bytes

    def _allocate(self, descriptor: int, size_bytes: int) -> None:
        os.posix_fallocate(descriptor, 0, size_bytes)
        self._allocated_bytes = size_bytes


def _no_room(path: Path, needed_bytes: int, error: OSError) -> StartError:
    return StartError(
        f"no room for the workers' metrics: {path} needs {needed_bytes:,} bytes, and each worker {_WORKER_BYTES:,} or "
        f"more: {error.strerror}; free some, or set TMPDIR to a folder with room, such as a memory volume"
    )


class _Processes(Collector):
    """The process metrics of the parent and all workers, dead ones too, added up; the start time is the parent's."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def collect(self) -> Iterator[Metric]:
        try:
            before_s = _cpu_s_of_dead_children(self._parent)
            while True:
                totals = self._totals()
                dead_s = _cpu_s_of_dead_children(self._parent)
                if dead_s == before_s:  # else one died meanwhile, and counts twice or not at all
                    break
                before_s = dead_s
        except OSError:  # the parent was killed, and this process is about to follow it
            return
        for family in totals:
            if family.name == "process_cpu_seconds":
                family.samples = [family.samples[0]._replace(value=family.samples[0].value + dead_s)]
            yield family

    def _totals(self) -> list[Metric]:
        children = Path(f"/proc/{self._parent}/task/{self._parent}/children").read_text().split()
        totals: dict[str, Metric] = {}
        for pid in (self._parent, *map(int, children)):
            # Of one that just ended there are fewer, or none.
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                total = totals.setdefault(family.name, family)
                if total is not family and family.name != "process_start_time_seconds":
                    value = total.samples[0].value + family.samples[0].value
                    total.samples = [total.samples[0]._replace(value=value)]
        return [*totals.values()]


def _cpu_s_of_dead_children(pid: int) -> float:
    """What the kernel added to a process's account when children of it ended (proc_pid_stat(5): cutime, cstime)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[13:15])) / os.sysconf("SC_CLK_TCK")
