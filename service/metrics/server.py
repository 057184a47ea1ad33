"""Metrics of the server: its starts and deaths, its log, its metrics folder."""

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
        self._starts = make.counter("mlp_worker_starts_total", "Worker starts.")
        self._deaths = make.counter("mlp_worker_deaths_total", "Unexpected worker exits.")
        self._hangs = make.counter("mlp_worker_hangs_total", "Worker deaths because the worker hung and was killed.")
        self._log_lines = make.counter(
            "mlp_log_lines_dropped_total", "Log lines dropped because the log's reader was too slow or its disk full."
        )
        self._spans = make.counter(
            "mlp_spans_dropped_total", "Spans dropped because the collector was down, too slow, or refused them."
        )
        self._payloads = make.counter(
            "mlp_payloads_dropped_total",
            "Sampled requests missing in the payload log because the disk was too slow or full.",
        )
        self._dropped_label_sets = make.counter(
            "mlp_label_sets_dropped_total", "New label sets not counted because the metrics folder was full."
        )

    def start_is_over(self) -> None:
        """Drop new label sets from now on, instead of failing, if there is no space for them."""
        self._space.required = False

    def log_lines_dropped(self, lines: int) -> None:
        """Count dropped log lines."""
        self._log_lines.inc(lines)

    def spans_dropped(self, spans: int) -> None:
        """Count dropped spans."""
        self._spans.inc(spans)

    def payloads_dropped(self, payloads: int) -> None:
        """Count requests that are missing in the payload log."""
        self._payloads.inc(payloads)

    def started(self) -> None:
        """Count the start of this process."""
        self._starts.inc()

    def ended(self, *, hung: bool) -> None:
        """Count an unexpected exit of a worker, which may have been killed because it ``hung``."""
        self._deaths.inc()
        self._hangs.inc(hung)

    def flush(self) -> None:
        """Count the label sets that were dropped since the last time."""
        dropped, self._space.dropped_label_sets = self._space.dropped_label_sets, 0
        if dropped:
            if not self._warned_of_drops:
                _log.error("the metrics folder is full: new label sets are not counted")
            self._warned_of_drops = True
            self._dropped_label_sets.inc(dropped)
