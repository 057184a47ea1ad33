"""Metrics of the server: its workers, its log, its metrics folder."""

from __future__ import annotations

import logging

from service.metrics.files import DiskSpace
from service.metrics.instruments import Instruments

_log = logging.getLogger(__name__)


class ServerMetrics:
    """How this process does. ``space`` is the disk space of its files."""

    def __init__(self, make: Instruments, space: DiskSpace) -> None:
        self._space = space
        self._warned_of_drops = False
        self._ready = make.gauge(
            "mlp_ready", "1 while the server and all its workers take traffic, else 0.", over_workers="livemin"
        )
        self._workers = make.gauge("mlp_workers", "Processes that answer requests.", over_workers="livesum")
        self._starts = make.counter("mlp_worker_starts_total", "Worker starts.")
        self._deaths = make.counter("mlp_worker_deaths_total", "Unexpected worker exits.")
        self._log_lines = make.counter(
            "mlp_log_lines_dropped_total", "Log lines dropped because the log's reader was too slow or its disk full."
        )
        self._dropped_label_sets = make.counter(
            "mlp_label_sets_dropped_total", "New label sets not counted because the metrics folder was full."
        )

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

    def flush(self) -> None:
        """Count the label sets that were dropped since the last time."""
        dropped, self._space.dropped_label_sets = self._space.dropped_label_sets, 0
        if dropped:
            if not self._warned_of_drops:
                _log.error("the metrics folder is full: new label sets are not counted")
            self._warned_of_drops = True
            self._dropped_label_sets.inc(dropped)
