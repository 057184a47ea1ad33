"""Metrics of what waits: rows and seconds of each model's queue beside their limits, and open connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.metrics.instruments import Instruments

_NOTHING: Final = (0, 0.0)

Queues = Mapping[tuple[str, str], tuple[int, float]]


class QueueMetrics:
    """How full this process is."""

    def __init__(self, make: Instruments) -> None:
        self._rows = make.gauge(
            "mlp_queue_rows",
            "Rows that wait to run, of small and of large requests.",
            "model",
            "lane",
            over_workers="livesum",
        )
        self._seconds = make.gauge(
            "mlp_queue_seconds",
            "Time that a new request would wait; of several workers, the longest.",
            "model",
            "lane",
            over_workers="livemax",
        )
        self._max_rows = make.gauge(
            "mlp_queue_max_rows", "Most rows that may wait in each lane of each model.", over_workers="livesum"
        )
        self._max_seconds = make.gauge(
            "mlp_queue_max_seconds", "Longest time that a request may wait.", over_workers="livemax"
        )
        self._connections = make.gauge("mlp_connections", "Open connections.", over_workers="livesum")
        self._queues: dict[tuple[str, str], tuple[int, float]] = {}
        self._open = -1

    def limits(self, rows: int, seconds: float) -> None:
        """Set the limits."""
        self._max_rows.set(rows)
        self._max_seconds.set(seconds)

    def set(self, queues: Queues, connections: int) -> None:
        """Set the rows and seconds that wait, by model and lane, and the number of open connections."""
        gone = {key: _NOTHING for key in self._queues if key not in queues}
        for key, waiting in {**queues, **gone}.items():
            if self._queues.get(key) != waiting:
                rows, seconds = waiting
                self._rows.labels(*key).set(rows)
                self._seconds.labels(*key).set(seconds)
        self._queues = dict(queues)
        if connections != self._open:
            self._open = connections
            self._connections.set(connections)
