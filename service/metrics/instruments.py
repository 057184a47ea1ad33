"""Makes the metrics of one registry, and counts many values at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary


class Instruments:
    """Makes metrics in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """A counter."""
        return Counter(name, meaning, labels, registry=self._registry)

    def gauge(
        self, name: str, meaning: str, *labels: str, over_workers: Literal["livesum", "livemin", "livemax"]
    ) -> Gauge:
        """A gauge; ``over_workers`` says how the values of several workers become one."""
        return Gauge(name, meaning, labels, registry=self._registry, multiprocess_mode=over_workers)

    def histogram(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
        """A histogram with these upper bounds."""
        return Histogram(name, meaning, labels, buckets=buckets, registry=self._registry)

    def summary(self, name: str, meaning: str, *labels: str) -> Summary:
        """A count and a sum."""
        return Summary(name, meaning, labels, registry=self._registry)


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
