"""Metrics of requests: how many, how long, how large, and how they were answered."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from service.metrics.instruments import Instruments, observe_all
from service.requests import RequestRecord

SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_STAGES: Final = ("decode", "queue", "inference", "encode")
_FIGURES: Final = attrgetter("route", "status", "problem", "duration_s", *(f"{stage}_s" for stage in _STAGES), "rows")


class RequestMetrics:
    """What the requests of this process add up to."""

    def __init__(self, make: Instruments) -> None:
        self._requests = make.counter("mlp_requests_total", "Requests answered.", "route", "status")
        self._rejections = make.counter(
            "mlp_rejections_total", "Requests answered with a problem, by its type.", "reason"
        )
        self._in_flight = make.gauge(
            "mlp_requests_in_flight", "Requests received and not yet answered.", over_workers="livesum"
        )
        self._duration = make.histogram(
            "mlp_request_duration_seconds", "Time from a request's headers to its response.", SECONDS, "route"
        )
        stage = make.histogram("mlp_stage_duration_seconds", "Time a prediction spent in each stage.", SECONDS, "stage")
        self._stages = [stage.labels(name) for name in _STAGES]
        self._rows = make.histogram("mlp_request_rows", "Rows in a prediction request.", ROWS)

    def count(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests."""
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
