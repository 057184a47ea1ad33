"""All metrics of a process, and what a scrape of it gives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.heartbeats import Heartbeats
from service.metrics import families, files
from service.metrics.all_workers import AllWorkers
from service.metrics.drift import Counted, DriftMetrics
from service.metrics.exemplars import latest
from service.metrics.families import Family
from service.metrics.files import DiskSpace, OpenFiles
from service.metrics.instruments import Instruments
from service.metrics.models import ModelMetrics
from service.metrics.processes import ServerProcesses
from service.metrics.queues import QueueMetrics
from service.metrics.requests import RequestMetrics
from service.metrics.retention import Retention
from service.metrics.server import ServerMetrics
from service.metrics.shadow import ShadowMetrics
from service.metrics.shared_counts import Shared, SharedCounts
from service.metrics.text_formats import Format, render
from service.metrics.tls import TlsMetrics
from service.metrics.versions import VersionMetrics
from service.metrics.workers import WorkersNow
from service.requests import RequestRecord


class Metrics:
    """The metrics of one process.

    Parameters
    ----------
    registry
        Holds the metrics of this process.
    opened
        The files of this worker, if there are several.
    shared
        What the workers exchange besides.
    """

    def __init__(
        self, registry: CollectorRegistry, opened: OpenFiles | None = None, shared: SharedCounts | None = None
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        make = Instruments(registry)
        self.requests = RequestMetrics(make)
        self.queues = QueueMetrics(make)
        self.models = ModelMetrics(make)
        self.versions = VersionMetrics(make)
        self.tls = TlsMetrics(make)
        self.server = ServerMetrics(make, DiskSpace() if opened is None else opened.space)
        self.retention = Retention(make, opened)
        self.drift = DriftMetrics()
        self.shadow = ShadowMetrics(make)
        self._shared = shared
        self._sources: list[Callable[[], Iterator[Family]]] = [lambda: families.of_registry(registry)]

    def read_from(self, *sources: Callable[[], Iterator[Family]]) -> None:
        """Have scrapes give the families of these ``sources`` instead of the registry's."""
        self._sources = [*sources]

    def scrape(self) -> Callable[[Format], bytes]:
        """Begin a scrape: the result gives the metrics of all workers as text, and may be called in another thread."""
        self._flush()
        counted, own = self.drift.counted(), self.requests.exemplars.by_series()

        def finish(form: Format) -> bytes:
            others = [] if self._shared is None else self._shared.read()
            exemplars = latest([own, *(other.exemplars for other in others)])
            return render(chain(*(source() for source in self._sources), self._drift(counted, others)), form, exemplars)

        return finish

    def exposition(self, form: Format = Format.TEXT) -> bytes:
        """A scrape in this thread."""
        return self.scrape()(form)

    def count(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests, and the network's runs so far."""
        self._flush()
        self.server.flush()
        self.requests.count(records)

    def share(self) -> None:
        """Give this worker's counts to the others. Called every few seconds."""
        if self._shared is not None:
            counts = {each.key: each.totals for each in self.drift.counted()}
            self._shared.write(Shared(counts, self.requests.exemplars.by_series()))

    def _flush(self) -> None:
        self.models.flush()
        self.shadow.flush()

    def _drift(self, counted: Sequence[Counted], others: Sequence[Shared]) -> Iterator[Family]:
        return map(families.of_metric, self.drift.families(counted, [other.counts for other in others]))


def alone(heartbeats: Heartbeats | None = None) -> Metrics:
    """Metrics of a server with one process."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    registry.register(WorkersNow(heartbeats or Heartbeats(1)))
    metrics = Metrics(registry)
    metrics.server.started()
    return metrics


def worker(index: int, folder: Path, heartbeats: Heartbeats) -> Metrics:
    """Metrics of one of several worker processes, any of which answers a scrape for all.

    Values are in files of ``folder``, named by the worker's ``index``: a worker that replaces a dead one continues its
    counters. Raises `StartError` if there is no space for a file, until `ServerMetrics.start_is_over`; later, new label
    sets are dropped.
    """
    opened = files.use_files(index, folder)
    now = CollectorRegistry()
    PlatformCollector(now)
    now.register(ServerProcesses())
    now.register(WorkersNow(heartbeats))
    metrics = Metrics(CollectorRegistry(), opened, SharedCounts(index, folder, time.monotonic))
    metrics.read_from(AllWorkers(folder).families, lambda: families.of_registry(now))
    metrics.server.started()
    return metrics


def mark_absent(index: int, folder: Path, *, died: bool = False, hung: bool = False) -> None:
    """Record that a worker does not run: it has not started yet, or it ``died``, perhaps because it ``hung``.

    Called by the process that starts and replaces the workers. Raises `StartError` if there is no space for its files.
    """
    opened = files.use_files(index, folder)
    files.reset_live_gauges(index, folder, opened.space)
    metrics = Metrics(CollectorRegistry(), opened=opened)
    if died:
        metrics.server.ended(hung=hung)
    opened.close()
