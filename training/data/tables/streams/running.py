"""Statistics of columns, and samples of rows, that are kept while blocks of rows go by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.streamed import Statistics


class Moments:
    """The statistics of columns of numbers, NaN being a missing value.

    Blocks are combined by Chan, Golub and LeVeque's formulas: https://doi.org/10.1080/00031305.1983.10483115
    """

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self.known = np.zeros(columns, np.int64)
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)  # sums of the squared distances from the mean
        self.low = np.full(columns, np.inf)
        self.high = np.full(columns, -np.inf)

    def add(self, values: NDArray[Any]) -> None:
        """Take in ``values`` (rows, columns)."""
        self.rows += len(values)
        for index, column in enumerate(values.T.astype(np.float64)):
            known = column[~np.isnan(column)]
            if not len(known):
                continue
            before, count = int(self.known[index]), len(known)
            # Sums of large numbers are rounded; sums of distances from the minimum are not.
            low = known.min()
            distances = known - low
            mean = distances.mean()
            distance = low + mean - self._mean[index]
            self.known[index] += count
            self._mean[index] += distance * count / (before + count)
            self._squares[index] += ((distances - mean) ** 2).sum() + distance**2 * before * count / (before + count)
            self.low[index] = min(self.low[index], low)
            self.high[index] = max(self.high[index], known.max())

    def statistics(self, index: int) -> Statistics:
        """Those of a column."""
        known = int(self.known[index])
        missing = 1 - known / max(self.rows, 1)
        if not known:
            return Statistics(missing)
        deviation = math.sqrt(self._squares[index] / known)
        return Statistics(missing, float(self._mean[index]), deviation, float(self.low[index]), float(self.high[index]))


class Counts:
    """How many values there are of each code, whose number may grow; NaN is a missing value."""

    def __init__(self) -> None:
        self.missing = 0
        self._counts = np.zeros(16, np.int64)

    def add(self, codes: NDArray[Any]) -> None:
        """Take in ``codes`` (rows,)."""
        known = codes[~np.isnan(codes)].astype(np.int64)
        self.missing += len(codes) - len(known)
        counts = np.bincount(known, minlength=len(self._counts))
        if len(counts) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(len(counts), np.int64)])
        self._counts[: len(counts)] += counts

    def of(self, codes: int) -> NDArray[np.int64]:
        """The number of values of each of the first ``codes``."""
        found = np.zeros(codes, np.int64)
        found[: min(codes, len(self._counts))] = self._counts[:codes]
        return found


class Reservoir:
    """The rows with the smallest numbers, up to ``capacity``: with random numbers, a uniform sample of all rows.

    https://doi.org/10.1145/1013367.1013379 calls this bottom-k sampling. Memory is taken once, for twice as many rows:
    many small arrays among temporary ones would scatter it.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self._bound = np.uint64(np.iinfo(np.uint64).max)
        self._arrays: tuple[NDArray[Any], ...] = ()
        self._held = 0

    def add(self, numbers: NDArray[np.uint64], *arrays: NDArray[Any]) -> None:
        """Take in rows of ``arrays``, each (rows, ...), with their ``numbers`` (rows,)."""
        self.seen += len(numbers)
        given = (numbers, *arrays)
        if not self._arrays:
            self._arrays = tuple(np.empty((2 * self.capacity, *each.shape[1:]), each.dtype) for each in given)
        chosen = np.flatnonzero(numbers <= self._bound)
        while len(chosen):
            room = chosen[: 2 * self.capacity - self._held]
            for array, each in zip(self._arrays, given, strict=True):
                array[self._held : self._held + len(room)] = each[room]
            self._held += len(room)
            if self._held == 2 * self.capacity:
                self._prune()
            chosen = chosen[len(room) :]

    def rows(self) -> Sequence[NDArray[Any]]:
        """The arrays of the rows that are kept, in the order in which they came."""
        self._prune()
        return [array[: self._held] for array in self._arrays[1:]]

    def _prune(self) -> None:
        if self._held <= self.capacity:
            return
        numbers = self._arrays[0][: self._held]
        kept = np.sort(np.argpartition(numbers, self.capacity - 1)[: self.capacity])
        for array in self._arrays:
            array[: self.capacity] = array[kept]
        self._held = self.capacity
        self._bound = self._arrays[0][: self._held].max()
