"""All metrics of a process, and what a scrape of it gives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service.heartbeats import Heartbeats
from service.metrics import files
from service.metrics.drift import DriftMetrics
from service.metrics.files import DiskSpace, OpenFiles
from service.metrics.instruments import Instruments
from service.metrics.models import ModelMetrics
from service.metrics.processes import ServerProcesses
from service.metrics.queues import QueueMetrics
from service.metrics.requests import RequestMetrics
from service.metrics.retention import Retention
from service.metrics.server import ServerMetrics
from service.metrics.shadow import ShadowMetrics
from service.metrics.shared_counts import SharedCounts
from service.metrics.tls import TlsMetrics
from service.metrics.versions import VersionMetrics
from service.metrics.workers import WorkersNow
from service.requests import RequestRecord

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one process.

    Parameters
    ----------
    registry
        Holds the metrics of this process.
    all_workers
        Gathers the metrics of all workers, if there are several.
    opened
        The files of this worker, if there are several.
    shared
        The counts that the workers exchange.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        all_workers: CollectorRegistry | None = None,
        opened: OpenFiles | None = None,
        shared: SharedCounts | None = None,
    ) -> None:
        self._exposed = all_workers or registry
        disable_created_metrics()  # type: ignore[no-untyped-call]
        make = Instruments(registry)
        self.requests = RequestMetrics(make)
        self.queues = QueueMetrics(make)
        self.models = ModelMetrics(make)
        self.versions = VersionMetrics(make)
        self.tls = TlsMetrics(make)
        self.server = ServerMetrics(make, DiskSpace() if opened is None else opened.space)
        self.retention = Retention(make, opened)
        self.drift = DriftMetrics(shared)
        self._exposed.register(self.drift)
        self.shadow = ShadowMetrics(make)

    def exposition(self) -> bytes:
        """The metrics of all workers in Prometheus's text format, with content type `CONTENT_TYPE`."""
        self.models.flush()
        self.shadow.flush()
        return generate_latest(self._exposed)

    def count(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests, and the network's runs so far."""
        self.models.flush()
        self.shadow.flush()
        self.server.flush()
        self.requests.count(records)


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
    all_workers = CollectorRegistry()
    MultiProcessCollector(all_workers)  # type: ignore[no-untyped-call]
    PlatformCollector(all_workers)
    all_workers.register(ServerProcesses())
    all_workers.register(WorkersNow(heartbeats))
    metrics = Metrics(CollectorRegistry(), all_workers, opened, SharedCounts(index, folder, time.monotonic))
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
