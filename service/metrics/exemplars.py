"""Exemplars: for each bucket of a histogram, a request in it whose trace was sampled."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.metrics.families import number, series_text

# Older ones are left out: their traces may be gone.
_MAX_AGE_S: Final = 3600.0


class Exemplar(NamedTuple):
    """A value in a bucket, the trace it belongs to, and its time since 1970."""

    trace_id: str
    value: float
    at_s: float


class Exemplars:
    """The last exemplar in each bucket of the histogram ``name``.

    prometheus_client has none for several processes: there is no place for them in its files.

    Parameters
    ----------
    name
        The histogram.
    bounds
        The upper bounds of its buckets but the last.
    labels
        The names of its labels.
    wall_s
        Gives seconds since 1970.
    """

    def __init__(
        self, name: str, bounds: Sequence[float], *labels: str, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._name = f"{name}_bucket"
        self._bounds = bounds
        self._labels = labels
        self._wall_s = wall_s
        self._last: dict[tuple[Any, ...], Exemplar] = {}

    def note(self, labels: Sequence[str], value: float, trace_id: str) -> None:
        """Keep a value as the exemplar of its bucket."""
        self._last[*labels, bisect_left(self._bounds, value)] = Exemplar(trace_id, value, self._wall_s())

    def by_series(self) -> dict[str, Exemplar]:
        """The exemplars by the series of their buckets, without old ones."""
        oldest_s = self._wall_s() - _MAX_AGE_S
        self._last = {key: each for key, each in self._last.items() if each.at_s >= oldest_s}
        return {self._series(*key): each for key, each in self._last.items()}

    def _series(self, *key: Any) -> str:
        *values, bucket = key
        bound = self._bounds[bucket] if bucket < len(self._bounds) else float("inf")
        labels = dict(zip(self._labels, values, strict=True)) | {"le": number(bound)}
        return series_text(self._name, labels)


def latest(each_worker: Sequence[Mapping[str, Exemplar]]) -> dict[str, Exemplar]:
    """The newest exemplar of each series."""
    found: dict[str, Exemplar] = {}
    for exemplars in each_worker:
        for series, exemplar in exemplars.items():
            if series not in found or exemplar.at_s > found[series].at_s:
                found[series] = exemplar
    return found
