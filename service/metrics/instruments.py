"""Makes the metrics of one registry, and counts many values at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)


class Instruments:
    """Makes metrics in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._made: list[MetricWrapperBase] = []

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """A counter."""
        return self._keep(Counter(name, meaning, labels, registry=self._registry))

    def gauge(
        self, name: str, meaning: str, *labels: str, over_workers: Literal["livesum", "livemin", "livemax"]
    ) -> Gauge:
        """A gauge; ``over_workers`` says how the values of several workers become one."""
        return self._keep(Gauge(name, meaning, labels, registry=self._registry, multiprocess_mode=over_workers))

    def histogram(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
        """A histogram with these upper bounds."""
        return self._keep(Histogram(name, meaning, labels, buckets=buckets, registry=self._registry))

    def summary(self, name: str, meaning: str, *labels: str) -> Summary:
        """A count and a sum."""
        return self._keep(Summary(name, meaning, labels, registry=self._registry))

    def labels(self) -> list[Mapping[str, str]]:
        """The label sets of all metrics."""
        return [labels for metric in self._made for _, labels in _label_sets(metric)]

    def forget(self, unwanted: Callable[[Mapping[str, str]], bool]) -> None:
        """Remove all label sets that are ``unwanted``."""
        for metric in self._made:
            for values, labels in _label_sets(metric):
                if unwanted(labels):
                    # The public method warns that it leaves the workers' files as they are; `files` does that part.
                    with metric._lock:  # noqa: SLF001
                        metric._metrics.pop(values, None)  # noqa: SLF001

    def _keep(self, metric: M) -> M:
        self._made.append(metric)
        return metric


def _label_sets(metric: MetricWrapperBase) -> list[tuple[Sequence[str], Mapping[str, str]]]:
    # There is no public way to list the label sets without the values.
    names = metric._labelnames  # noqa: SLF001
    if not names:
        return []
    with metric._lock:  # noqa: SLF001
        return [(values, dict(zip(names, values, strict=True))) for values in metric._metrics]  # noqa: SLF001


def observe_all(histogram: Histogram, values: NDArray[Any]) -> None:
    """Like ``histogram.observe(value)`` for each of the values, but lock each bucket once."""
    # prometheus_client has no public way to do this. A test compares it with observe().
    counts = np.bincount(np.array(histogram._upper_bounds).searchsorted(values))  # noqa: SLF001
    for index in counts.nonzero()[0].tolist():
        histogram._buckets[index].inc(int(counts[index]))  # noqa: SLF001
    histogram._sum.inc(float(values.sum(dtype=np.float64)))  # noqa: SLF001


def add_to_summary(summary: Summary, count: int, total: float) -> None:
    """Like ``summary.observe(value)`` for ``count`` values with this ``total``, but lock once."""
    # As above.
    summary._count.inc(count)  # noqa: SLF001
    summary._sum.inc(total)  # noqa: SLF001
