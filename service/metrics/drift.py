"""Metrics of drift: how far served rows and predictions are from those of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import GaugeMetricFamily, Metric


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
        "Share of the label among the predictions for the test rows in training.",
        "label",
    ),
}


class _Watched(NamedTuple):
    totals: Callable[[], NDArray[np.float64]]
    figures: Callable[[NDArray[np.float64]], Figures]
    label_shares: Mapping[str, float]


class Counted(NamedTuple):
    """The counts of a watched version in this process, and what to make of them."""

    model: str
    version: int
    totals: NDArray[np.float64]
    watched: _Watched

    @property
    def key(self) -> str:
        """The version's name among counts that workers share."""
        return f"{self.model}/{self.version}"


class DriftMetrics:
    """The drift of every version that is watched, computed at each scrape from the counts of all workers."""

    def __init__(self) -> None:
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

    def counted(self) -> list[Counted]:
        """The counts of this process so far. Call it where versions run: on the event loop."""
        return [Counted(*version, watched.totals(), watched) for version, watched in self._watched.items()]

    @staticmethod
    def describe() -> list[Metric]:
        """The families without samples."""
        return [*_families().values()]

    @staticmethod
    def families(counted: Sequence[Counted], others: Sequence[Mapping[str, NDArray[np.float64]]]) -> Iterator[Metric]:
        """The families, from the counts of this worker and of the ``others``, by `Counted.key`.

        A figure for which there are not enough rows is absent.
        """
        families = _families()
        for each in counted:
            labels, totals = [each.model, str(each.version)], each.totals
            for other in others:
                counts = other.get(each.key)
                if counts is not None and counts.shape == totals.shape:
                    totals = totals + counts
            rows, figures = each.watched.figures(totals)
            families["rows"].add_metric(labels, rows)
            for kind, name, value in figures:
                families[kind].add_metric([*labels, name], value)
            for label, share in each.watched.label_shares.items():
                families["reference"].add_metric([*labels, label], share)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    found = {
        kind: GaugeMetricFamily(name, meaning, labels=("model", "version", label))
        for kind, (name, meaning, label) in _FAMILIES.items()
    }
    meaning = "Rows in the window that drift is computed from; at high load fewer than were served."
    return {**found, "rows": GaugeMetricFamily("mlp_drift_rows", meaning, labels=("model", "version"))}
