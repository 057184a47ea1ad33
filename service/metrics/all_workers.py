"""Adds up the metrics in the files of all workers.

As prometheus_client's `MultiProcessCollector` does, but series are parsed only after one was added or removed, and
values are added as arrays. A test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.metrics import file_reader
from service.metrics.families import Family, number, series_text
from service.metrics.file_reader import FileSeries

# Parsed series that are kept for the next time that one is added.
_KEPT_SERIES: Final = 20_000
# How the values of several workers become one, and what is there before the first: other metrics are added up.
_COMBINED: Final[dict[str, tuple[Callable[..., Any], float]]] = {
    "gauge_livemin": (np.minimum, np.inf),
    "gauge_livemax": (np.maximum, -np.inf),
}
_ADDED: Final = (np.add, 0.0)


class AllWorkers:
    """The families of all workers whose files are in ``folder``. Call it from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, FileSeries] = {}
        self._layout = _Layout({})

    def families(self) -> Iterator[Family]:
        """Counters of all workers added up, and gauges as their kind says."""
        read = {
            path.name: file_reader.read(path, self._files.get(path.name)) for path in sorted(self._folder.glob("*.db"))
        }
        files = {name: series for name, (series, _) in read.items()}
        if files.keys() != self._files.keys() or any(files[name] is not self._files[name] for name in files):
            self._layout = _Layout({name: series.keys for name, series in files.items()})
            self._files = files
        return self._layout.families({name: values for name, (_, values) in read.items()})


class _Series(NamedTuple):
    """A series: its file's kind, such as counter or gauge_livesum, and what its key says."""

    kind: str
    metric: str
    name: str
    labels: dict[str, str]
    meaning: str


@lru_cache(_KEPT_SERIES)
def _series(kind: str, key: str) -> _Series:
    return _Series(kind, *json.loads(key))


class _Layout:
    """All series in the order in which they are written, and which of them the values of each file are.

    ``keys`` are those of each file, by its name.
    """

    def __init__(self, keys: Mapping[str, Sequence[str]]) -> None:
        self._texts: list[str] = []
        self._places: dict[tuple[str, str], int] = {}
        self._histograms: list[slice] = []
        self._families: list[tuple[Family, slice]] = []
        by_metric: dict[str, dict[tuple[str, str], _Series]] = {}
        for kind, key in dict.fromkeys((_kind(name), key) for name, each in keys.items() for key in each):
            series = _series(kind, key)
            by_metric.setdefault(series.metric, {})[kind, key] = series
        for members in by_metric.values():
            self._add(members)
        self._start = np.zeros(len(self._texts))
        for (kind, _), place in self._places.items():
            self._start[place] = _COMBINED.get(kind, _ADDED)[1]
        self._files = {
            name: np.array([self._places[_kind(name), key] for key in each], np.intp) for name, each in keys.items()
        }

    def families(self, values: Mapping[str, NDArray[np.float64]]) -> Iterator[Family]:
        """The families with the ``values`` of each file, by its name."""
        totals = self._start.copy()
        for name, places in self._files.items():
            combine, _ = _COMBINED.get(_kind(name), _ADDED)
            totals[places] = combine(totals[places], values[name])
        for buckets in self._histograms:
            totals[buckets].cumsum(out=totals[buckets])
            totals[buckets.stop] = totals[buckets.stop - 1]
        numbers = totals.tolist()
        for family, part in self._families:
            yield family._replace(values=numbers[part])

    def _add(self, members: Mapping[tuple[str, str], _Series]) -> None:
        """Add the series of one metric."""
        first, start = next(iter(members.values())), len(self._texts)
        kind = first.kind.partition("_")[0]
        if kind == "histogram":
            self._add_histogram(members)
        else:
            for key, series in members.items():
                self._place(key, series_text(series.name, series.labels))
        part = slice(start, len(self._texts))
        self._families.append((Family(first.metric, kind, first.meaning, self._texts[part], ()), part))

    def _add_histogram(self, members: Mapping[tuple[str, str], _Series]) -> None:
        """Add for each label set its buckets, which become cumulative, their count, which no file has, and the sum."""
        by_labels: dict[tuple[tuple[str, str], ...], dict[float | None, tuple[str, str]]] = {}
        for key, series in members.items():
            labels = tuple((name, value) for name, value in series.labels.items() if name != "le")
            bound = float(series.labels["le"]) if "le" in series.labels else None
            by_labels.setdefault(labels, {})[bound] = key
        metric = next(iter(members.values())).metric
        for labels, keys in by_labels.items():
            total, start = keys.pop(None, None), len(self._texts)
            for bound, key in sorted((bound, key) for bound, key in keys.items() if bound is not None):
                self._place(key, series_text(f"{metric}_bucket", {**dict(labels), "le": number(bound)}))
            if keys:
                self._histograms.append(slice(start, len(self._texts)))
                self._texts.append(series_text(f"{metric}_count", dict(labels)))
            if total is not None:
                self._place(total, series_text(f"{metric}_sum", dict(labels)))

    def _place(self, key: tuple[str, str], text: str) -> None:
        self._places[key] = len(self._texts)
        self._texts.append(text)


def _kind(name: str) -> str:
    return name.rpartition("_")[0]
