"""Counts rows in the bins of a version's reference statistics, and compares the counts with the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.manifest import Feature, Manifest
from service.metrics.drift import Figure
from service.reference import BIN_ROWS, Distribution, Reference

# Bins of categories or labels; the rarest ones share a bin.
MAX_CODE_BINS: Final = 20
# The index is not computed for fewer rows. If nothing drifts it is (bins - 1) / rows on average: 0.02 at these numbers.
MIN_ROWS: Final = 200
ROWS_PER_BIN: Final = 50
# Added to the count of each bin, or an empty one would make the index infinite (Krichevsky and Trofimov, 1981).
_SMOOTHING: Final = 0.5
_MAX_LABEL_CHARACTERS: Final = 100


def population_stability_index(expected: NDArray[Any], counts: NDArray[Any]) -> float:
    """How far the distribution of ``counts`` (bins,) is from the one of ``expected`` (bins,), which are counts, too.

    It is the sum of (p - q) ln(p / q) over the bins, with p and q their shares after half a count was added to each.
    Without drift, its distribution is about that of chi-squared with bins - 1 degrees of freedom times 1/n + 1/m, for n
    and m counts: https://scholarworks.wmich.edu/dissertations/3208 (Yurdakul, 2018).
    """
    smooth_expected, smooth = expected + _SMOOTHING, counts + _SMOOTHING
    p, q = smooth / smooth.sum(), smooth_expected / smooth_expected.sum()
    return float(((p - q) * np.log(p / q)).sum())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the counts of one distribution are: from ``first`` on, those of missing values and unknown ones last."""

    name: str
    first: int
    expected: NDArray[np.float64]
    missing: bool
    unknown: bool

    @property
    def end(self) -> int:
        return self.first + len(self.expected)

    @property
    def min_rows(self) -> int:
        return max(MIN_ROWS, ROWS_PER_BIN * (len(self.expected) - 1))


class _Numbers:
    """Finds the counts of numbers: ``edges`` (edges, columns), ``first`` (columns,) and ``missing`` (columns,)."""

    def __init__(self, distributions: Sequence[Distribution], places: Sequence[_Place]) -> None:
        most = max((len(each.edges) for each in distributions), default=0)
        self._edges = np.full((most, len(distributions)), np.inf)
        for index, each in enumerate(distributions):
            self._edges[: len(each.edges), index] = each.edges
        self._first = np.array([place.first for place in places], np.intp)
        self._missing = np.array([place.end - 1 for place in places], np.intp)
        self._may_miss = any(place.missing for place in places)

    def find(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """The index of each value's count; ``values`` are (rows, columns)."""
        exact = values.astype(np.float64)  # float32 cannot hold an edge between two of its neighbours
        found = np.broadcast_to(self._first, exact.shape).copy()
        for edges in self._edges:
            found += exact >= edges
        return np.where(np.isnan(exact), self._missing, found) if self._may_miss else found


class _Codes:
    """Finds the counts of codes by a table (columns, codes + 1), whose last column is for missing values."""

    def __init__(self, tables: Sequence[NDArray[np.intp]]) -> None:
        self._missing = max((len(each) for each in tables), default=1) - 1
        self._table = np.zeros((len(tables), self._missing + 1), np.intp)
        for index, each in enumerate(tables):
            self._table[index, : len(each) - 1] = each[:-1]
            self._table[index, self._missing] = each[-1]
        self._columns = np.arange(len(tables))

    def find(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """The index of each code's count; ``values`` are (rows, columns)."""
        codes = np.where(np.isnan(values), self._missing, values).astype(np.intp)
        return self._table[self._columns, codes]


class Bins:
    """The bins of the first ``features`` features and the first ``targets`` targets of a ``reference``, by default all.

    ``size`` is the number of counts, and ``columns`` the columns of the rows that are counted; None for all pixels.
    """

    def __init__(self, manifest: Manifest, reference: Reference, features: int, targets: int | None = None) -> None:
        self.size = 0
        self._features: list[_Place] = []
        images = manifest.input_dtype == "uint8"
        by_name = {each.name: (index, each) for index, each in enumerate(manifest.features)}
        numbers: list[tuple[int, Distribution, _Place]] = []
        codes: list[tuple[int, NDArray[np.intp]]] = []
        for each in reference.features[:features]:
            column, feature = (0, None) if images else by_name[each.name]
            place, table = self._place(each, reference.rows, feature)
            self._features.append(place)
            if each.edges:
                numbers.append((column, each, place))
            else:
                codes.append((column, table))
        self.columns = None if images else np.array([column for column, *_ in (*numbers, *codes)], np.intp)
        self._pixel_edges = reference.features[0].edges if images else ()
        self._numeric = len(numbers)
        self._numbers = _Numbers([each for _, each, _ in numbers], [place for *_, place in numbers])
        self._codes = _Codes([table for _, table in codes])
        predictions = reference.predictions[:targets]
        placed = [self._place(each, reference.prediction_rows, None) for each in predictions]
        self._predictions = [place for place, _ in placed]
        classifies = bool(manifest.classes)
        self._answers = (
            _Codes([table for _, table in placed]) if classifies else _Numbers(predictions, self._predictions)
        )

    def count(self, rows: NDArray[Any], predictions: NDArray[Any]) -> NDArray[np.int64]:
        """Counts (size,) of ``rows`` (rows, `columns`) and of the network's ``predictions`` for them."""
        found = [self._answers.find(predictions.reshape(len(predictions), -1)[:, : len(self._predictions)])]
        if not self._pixel_edges:
            found += [self._numbers.find(rows[:, : self._numeric]), self._codes.find(rows[:, self._numeric :])]
        counts = np.bincount(np.concatenate([each.reshape(-1) for each in found]), minlength=self.size)
        if self._pixel_edges:
            counts[: len(self._pixel_edges) + 1] = _pooled(rows, self._pixel_edges)
        return counts

    def figures(self, counts: NDArray[np.float64], rows: float) -> Iterator[Figure]:
        """What ``counts`` (size,) of so many ``rows`` say; nothing of a distribution for which these are too few."""
        for index, place in enumerate(self._features):
            found, label = counts[place.first : place.end], _label(place.name, index)
            if rows >= place.min_rows:
                yield Figure("feature", label, population_stability_index(place.expected, found))
            if rows >= MIN_ROWS and place.missing:
                yield Figure("missing", label, float(found[-1] / found.sum()))
            if rows >= MIN_ROWS and place.unknown:
                yield Figure("unknown", label, float(found[-1 - place.missing] / found.sum()))
        for index, place in enumerate(self._predictions):
            if rows >= place.min_rows:
                found = counts[place.first : place.end]
                drift = population_stability_index(place.expected, found)
                yield Figure("prediction", _label(place.name, index), drift)

    def _place(self, distribution: Distribution, rows: int, feature: Feature | None) -> tuple[_Place, NDArray[np.intp]]:
        """The next place, and the table of its codes with the missing value last; the table is empty for numbers."""
        missing = feature is not None and feature.missing
        unknown = feature is not None and feature.other
        expected = np.array(distribution.counts, np.float64)
        bins = np.empty(0, np.intp)
        if not distribution.edges:
            known = len(expected) - unknown
            bins = _code_bins(expected[:known], rows)
            bins = np.append(bins, np.arange(unknown) + bins.max() + 1)
            expected = np.bincount(bins, expected).astype(np.float64)
        if missing:
            expected = np.append(expected, distribution.missing)
        place = _Place(distribution.name, self.size, expected, missing, unknown)
        self.size = place.end
        return place, place.first + np.append(bins, len(expected) - 1)


def _pooled(values: NDArray[Any], edges: Sequence[float]) -> NDArray[np.int64]:
    """Counts of all ``values`` between ``edges``. Counting what lies above each edge is fast for many values."""
    above = [values.size, *(int(np.count_nonzero(values >= edge)) for edge in edges), 0]
    return -np.diff(above)


def _code_bins(counts: NDArray[np.float64], rows: int) -> NDArray[np.intp]:
    """The bin of each code: one for each of the most frequent, and the last for all others."""
    most = min(max(rows // BIN_ROWS, 2), MAX_CODE_BINS)
    bins = np.full(len(counts), min(most, len(counts)) - 1, np.intp)
    frequent = np.argsort(-counts, kind="stable")[: len(counts) if len(counts) <= most else most - 1]
    bins[frequent] = np.arange(len(frequent))
    return bins


def _label(name: str, index: int) -> str:
    """The name as the value of a label: long ones are cut, and distinguished by their index."""
    return name if len(name) <= _MAX_LABEL_CHARACTERS else f"{name[:_MAX_LABEL_CHARACTERS]}… #{index}"
