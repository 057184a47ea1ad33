"""Metrics of the loaded models: loads, and what they predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.metrics.instruments import Instruments, add_to_summary, observe_all
from service.metrics.requests import ROWS

_CONFIDENCE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


# Counts a run: takes its probabilities (rows, classes), None for a regression, and its predictions.
Count = Callable[[NDArray[np.float32] | None, NDArray[Any]], None]


class ModelMetrics:
    """What the models of this process do."""

    def __init__(self, make: Instruments) -> None:
        self._runs: list[tuple[Callable[..., None], NDArray[np.float32] | None, NDArray[Any]]] = []
        self._batch_rows = make.histogram("mlp_batch_rows", "Rows in one run of the network.", ROWS, "model")
        self._predictions = make.counter(
            "mlp_predictions_total", "Rows predicted, by predicted label.", "model", "version", "label"
        )
        self._confidence = make.histogram(
            "mlp_prediction_confidence", "Probability of the predicted label.", _CONFIDENCE, "model", "version"
        )
        self._values = make.summary(
            "mlp_prediction_value",
            "Predicted values of a regression's target, in its unit; the sum can decrease.",
            "model",
            "version",
            "target",
        )
        self._load = make.gauge(
            "mlp_model_load_seconds",
            "Time to read, check and warm up the model.",
            "model",
            "version",
            over_workers="livemax",
        )
        self._fallback = make.gauge(
            "mlp_gpu_fallback",
            "1 if the model runs on the CPU although the provider is not cpu, else 0.",
            "model",
            over_workers="livemax",
        )

    def loaded(self, model: str, version: int, load_s: float) -> None:
        """Record how long loading a version took."""
        self._load.labels(model, str(version)).set(load_s)

    def fallback(self, model: str, *, on_cpu: bool) -> None:
        """Set whether a model runs on the CPU although a GPU was requested."""
        self._fallback.labels(model).set(on_cpu)

    def batches(self, model: str, version: int, labels: Sequence[str]) -> Count:
        """A function to call after each run with its ``probabilities`` (rows, classes) and ``prediction`` (rows,).

        ``labels`` are those of the classes; classes with the same one are counted together.
        """
        shown = [*dict.fromkeys(labels)]
        counters = [self._predictions.labels(model, str(version), label) for label in shown]
        places = {label: place for place, label in enumerate(shown)}
        of_class = np.array([places[label] for label in labels], np.intp)
        confidence = self._confidence.labels(model, str(version))
        batch_rows = self._batch_rows.labels(model)

        def count(probabilities: Sequence[NDArray[np.float32]], predictions: Sequence[NDArray[np.int64]]) -> None:
            observe_all(batch_rows, np.array([len(each) for each in predictions]))
            counts = np.bincount(of_class[np.concatenate(predictions)], minlength=len(counters))
            for index in np.flatnonzero(counts).tolist():
                counters[index].inc(int(counts[index]))
            observe_all(confidence, np.concatenate(probabilities).max(axis=1))

        return self._buffered(count)

    def regressions(self, model: str, version: int, targets: Sequence[str]) -> Count:
        """The same for a regression: ``probabilities`` are None and ``prediction`` is (rows, targets).

        There may be more targets than ``targets``, which are the first ones.
        """
        summaries = [self._values.labels(model, str(version), target) for target in targets]
        batch_rows = self._batch_rows.labels(model)

        def count(_probabilities: Sequence[None], predictions: Sequence[NDArray[np.float32]]) -> None:
            observe_all(batch_rows, np.array([len(each) for each in predictions]))
            values = np.concatenate(predictions)[:, : len(summaries)]
            for summary, total in zip(summaries, values.sum(axis=0, dtype=np.float64).tolist(), strict=True):
                add_to_summary(summary, len(values), total)

        return self._buffered(count)

    def _buffered(self, count: Callable[..., None]) -> Count:
        """A function that keeps a run's outputs, so that several runs are counted together."""

        def ran(probabilities: NDArray[np.float32] | None, prediction: NDArray[Any]) -> None:
            self._runs.append((count, probabilities, prediction))

        return ran

    def flush(self) -> None:
        """Count the runs so far."""
        runs, self._runs = self._runs, []
        for count in dict.fromkeys(count for count, _, _ in runs):
            _, probabilities, predictions = zip(*(run for run in runs if run[0] is count), strict=True)
            count(probabilities, predictions)
