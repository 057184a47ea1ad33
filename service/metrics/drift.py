"""Metrics of drift: how far served rows and predictions are from those of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.metrics.shared_counts import SharedCounts


class Figure(NamedTuple):
    """One figure of a version: the drift of a feature or a prediction, or a feature's missing or unknown values."""

    kind: Literal["feature", "missing", "unknown", "prediction"]
    name: str
    value: float


class Figures(NamedTuple):
    """What is known of one version's drift, and from how many rows, if they all had the same weight."""

    rows: float
    each: Sequence[Figure]


_FAMILIES: Final = {
    "feature": (
        "mlp_feature_drift_psi",
        "Population stability index of the feature's values in the window against training; above 0.2 is drift.",
        "feature",
    ),
    "missing": ("mlp_feature_missing_ratio", "Share of rows in the window without a value of the feature.", "feature"),
    "unknown": ("mlp_feature_unknown_ratio", "Share of rows in the window with an unknown category.", "feature"),
    "prediction": (
        "mlp_prediction_drift_psi",
        "Population stability index of the predictions in the window against those for the test rows.",
        "target",
    ),
    "reference": (
        "mlp_prediction_reference_ratio",
        "Share of the label among the predictions for the test rows, when the version was trained.",
        "label",
    ),
}


class _Watched(NamedTuple):
    totals: Callable[[], NDArray[np.float64]]
    figures: Callable[[NDArray[np.float64]], Figures]
    label_shares: Mapping[str, float]


class DriftMetrics(Collector):
    """The drift of every version that is watched, computed at each scrape from the counts of all workers.

    ``shared`` exchanges the counts with the other workers, if there are any.
    """

    def __init__(self, shared: SharedCounts | None = None) -> None:
        self._shared = shared
        self._watched: dict[tuple[str, int], _Watched] = {}

    def watch(
        self,
        model: str,
        version: int,
        totals: Callable[[], NDArray[np.float64]],
        figures: Callable[[NDArray[np.float64]], Figures],
        label_shares: Mapping[str, float] | None = None,
    ) -> None:
        """Report a version. ``totals`` gives this process's counts, and ``figures`` what a sum of such counts says.

        ``label_shares`` are those of a classification's labels in the reference.
        """
        self._watched[model, version] = _Watched(totals, figures, label_shares or {})

    def unwatch(self, model: str, version: int) -> None:
        """Report a version no more."""
        self._watched.pop((model, version), None)

    def share(self) -> None:
        """Give this worker's counts to the others. Called every few seconds."""
        if self._shared is not None:
            self._shared.write({_key(*version): each.totals() for version, each in self._watched.items()})

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return [family for _, family in self._families()]

    def collect(self) -> Iterator[Metric]:
        """The families. A figure for which there are not enough rows is absent."""
        families = dict(self._families())
        others = self._shared.read() if self._shared is not None and self._watched else []
        for (model, version), watched in self._watched.items():
            totals = watched.totals()
            for other in others:
                counts = other.get(_key(model, version))
                if counts is not None and counts.shape == totals.shape:
                    totals = totals + counts
            rows, figures = watched.figures(totals)
            families["rows"].add_metric([model, str(version)], rows)
            for kind, name, value in figures:
                families[kind].add_metric([model, str(version), name], value)
            for label, share in watched.label_shares.items():
                families["reference"].add_metric([model, str(version), label], share)
        yield from families.values()

    @staticmethod
    def _families() -> Iterator[tuple[str, GaugeMetricFamily]]:
        for kind, (name, meaning, label) in _FAMILIES.items():
            yield kind, GaugeMetricFamily(name, meaning, labels=("model", "version", label))
        meaning = "Rows in the window that drift is computed from; at high load fewer than were served."
        yield "rows", GaugeMetricFamily("mlp_drift_rows", meaning, labels=("model", "version"))


def _key(model: str, version: int) -> str:
    return f"{model}/{version}"
