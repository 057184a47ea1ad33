"""Metrics of requests: how many, how long, how large, and how they were answered."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

from service.imputed import Imputed
from service.metrics.exemplars import Exemplars
from service.metrics.instruments import Instruments, observe_all
from service.requests import RequestRecord

SECONDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
# From 10 µs, as a row is decoded in that time. Fewer, because each model has a histogram for each stage.
STAGE_SECONDS: Final = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 0.025, 0.1, 0.5, 2.5, 10.0)
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_STAGES: Final = ("decode", "queue", "inference", "encode")
_FIGURES: Final = attrgetter(
    *("route", "status", "model", "problem", "imputed", "sampled"),
    *("duration_s", *(f"{stage}_s" for stage in _STAGES), "rows"),
)
_DURATION: Final = "mlp_request_duration_seconds"


class RequestMetrics:
    """What the requests of this process add up to.

    The label ``model`` is the name of a model that was served, or empty if the request named none.
    """

    def __init__(self, make: Instruments) -> None:
        self._requests = make.counter("mlp_requests_total", "Requests answered.", "route", "status", "model")
        self._rejections = make.counter(
            "mlp_rejections_total", "Requests answered with a problem, by its type.", "reason", "model"
        )
        self._in_flight = make.gauge(
            "mlp_requests_in_flight", "Requests received and not yet answered.", over_workers="livesum"
        )
        self._duration = make.histogram(
            _DURATION,
            "Time from a request's headers to its response.",
            SECONDS,
            "route",
            "model",
        )
        self._stages = make.histogram(
            "mlp_stage_duration_seconds", "Time that predictions spent in each stage.", STAGE_SECONDS, "stage", "model"
        )
        self._imputed = make.counter(
            "mlp_imputed_values_total",
            "Missing and unknown values replaced by defaults (--unseen-values impute).",
            "model",
            "kind",
        )
        self._rows = make.histogram("mlp_request_rows", "Rows in a prediction request.", ROWS, "model")
        self.exemplars = Exemplars(_DURATION, SECONDS, "route", "model")
        # The two of each model, as it takes long to find them.
        self._by_model: dict[str, tuple[Histogram, list[Histogram]]] = {}

    def count(self, records: Sequence[RequestRecord]) -> None:
        """Count finished requests."""
        routes, statuses, models, problems, imputed, sampled, *figures = zip(*map(_FIGURES, records), strict=True)
        seconds, rows = np.array(figures[:-1]), np.array(figures[-1])  # (stages, records) and (records,)
        for (route, status, model), count, selected in _groups(list(zip(routes, statuses, models, strict=True))):
            self._requests.labels(route, str(status), model).inc(count)
            observe_all(self._duration.labels(route, model), seconds[0, selected])
        if any(problems):
            self._count_problems(problems, models)
        if any(imputed):
            self._count_imputed(models, imputed)
        if any(sampled):
            for record in records:
                if record.sampled:
                    self.exemplars.note((record.route, record.model), record.duration_s, record.trace_id)
        predicted = (np.array(statuses) == 200) & (rows > 0)
        if predicted.any():
            for model, _, selected in _groups(models):
                self._count_predictions(model, seconds[1:, selected], rows[selected], predicted[selected])

    def _count_problems(self, problems: Sequence[str], models: Sequence[str]) -> None:
        for (problem, model), count in Counts(zip(problems, models, strict=True)).items():
            if problem:
                self._rejections.labels(problem, model).inc(count)

    def _count_imputed(self, models: Sequence[str], imputed: Sequence[Imputed | None]) -> None:
        for model, each in zip(models, imputed, strict=True):
            if each is not None:
                self._imputed.labels(model, "missing").inc(each.missing)
                self._imputed.labels(model, "unknown").inc(each.unknown)

    def _count_predictions(
        self, model: str, seconds: NDArray[np.float64], rows: NDArray[np.int64], predicted: NDArray[np.bool_]
    ) -> None:
        if not predicted.any():
            return
        if model not in self._by_model:
            stages = [self._stages.labels(stage, model) for stage in _STAGES]
            self._by_model[model] = self._rows.labels(model), stages
        request_rows, stages = self._by_model[model]
        observe_all(request_rows, rows[predicted])
        for stage, took_s in zip(stages, seconds[:, predicted], strict=True):
            observe_all(stage, took_s)

    def in_flight(self, count: int) -> None:
        """Set the number of open requests."""
        self._in_flight.set(count)


def _groups(keys: Sequence[Any]) -> Iterator[tuple[Any, int, Any]]:
    """Each key that occurs, how often, and an index that selects its places."""
    if keys.count(keys[0]) == len(keys):
        yield keys[0], len(keys), slice(None)
        return
    for key, count in Counts(keys).items():
        yield key, count, [each == key for each in keys]
