"""Watches one version for drift: counts served rows and predictions over a sliding window."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.inference.bins import Bins
from service.inference.metric_labels import metric_labels
from service.inference.sampling import RowSampler, effective_rows
from service.inference.session import Outputs
from service.manifest import Manifest
from service.metrics.drift import DriftMetrics, Figures
from service.reference import Reference

_log = logging.getLogger(__name__)

# The window moves by a slot at a time: it is up to one slot longer than requested.
_SLOTS: Final = 30
# What is counted in a second at most: 130 images of 28 x 28 pixels, which is half a million in an hour.
_MAX_VALUES_S: Final = 100_000
_MAX_ROWS_S: Final = 500
# What is counted at once: a tenth of a millisecond on the event loop.
_BUFFER_VALUES: Final = 50_000
_BUFFER_ROWS: Final = 256
# After the counts: the sum of the rows' weights, and of the weights' squares.
_SUMS: Final = 2


def watch(
    manifest: Manifest,
    metrics: DriftMetrics,
    *,
    features: int,
    labels: int,
    window_s: float,
    clock: Callable[[], float],
) -> Drift | None:
    """Watch the first ``features`` features of a version and report to ``metrics``; None if there is nothing to watch.

    0 features switches it off. ``labels`` is how many labels or targets have metrics of their own.
    """
    if features == 0:
        return None
    if manifest.reference is None:
        _log.info(
            "drift of %s version %d is not watched: its manifest has no reference statistics; publish it again",
            *(manifest.name, manifest.version),
        )
        return None
    bins = Bins(manifest, manifest.reference, features, labels)
    drift = Drift(bins, len(manifest.features), window_s=window_s, clock=clock)
    shares = _label_shares(manifest, manifest.reference, labels)
    metrics.watch(manifest.name, manifest.version, drift.totals, drift.figures, shares)
    drift.on_close = lambda: metrics.unwatch(manifest.name, manifest.version)
    return drift


def _label_shares(manifest: Manifest, reference: Reference, most: int) -> dict[str, float]:
    """The share of each label among the reference's predictions; of a regression, none."""
    if not manifest.classes:
        return {}
    counts, shares = reference.predictions[0].counts, Counter[str]()
    for label, count in zip(metric_labels(manifest, most), counts, strict=True):
        shares[label] += count
    return {label: count / sum(counts) for label, count in shares.items()}


class Drift:
    """Running counts of the rows of one version in ``bins``, over the last ``window_s`` seconds.

    Not all rows are counted at high load: `RowSampler` picks them. ``width`` is the number of features of a row;
    ``chance`` gives random numbers from 0 to below 1.
    """

    def __init__(
        self,
        bins: Bins,
        width: int,
        *,
        window_s: float,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.on_close: Callable[[], None] = lambda: None
        self._bins = bins
        self._columns = bins.columns
        self._clock = clock
        values = max(width if self._columns is None else len(self._columns), 1)
        self._sampler = RowSampler(min(max(_MAX_VALUES_S / values, 1), _MAX_ROWS_S), chance)
        self._buffer_rows = min(max(_BUFFER_VALUES // values, 1), _BUFFER_ROWS)
        self._rows: list[NDArray[Any]] = []
        self._predictions: list[NDArray[Any]] = []
        self._buffered = 0
        self._weight = 1.0
        self._slot_s = window_s / _SLOTS
        self._slots = np.zeros((_SLOTS + 1, bins.size + _SUMS))
        self._slot = int(clock() // self._slot_s)
        self._slot_ends_s = (self._slot + 1) * self._slot_s

    def observe(self, rows: NDArray[Any], outputs: Outputs) -> None:
        """Count ``rows`` (rows, features), which may change after the call, and their ``outputs``."""
        now_s = self._clock()
        if now_s >= self._slot_ends_s:
            self._advance(now_s)
        picked = self._sampler.pick(len(rows), now_s)
        if self._buffered and self._sampler.weight != self._weight:
            self._flush()
        if picked is None:
            return
        self._weight = self._sampler.weight
        chosen = rows[picked]
        chosen = chosen[:, self._columns] if self._columns is not None else chosen.copy()
        self._rows.append(chosen)
        self._predictions.append(outputs.prediction[picked])
        self._buffered += len(chosen)
        if self._buffered >= self._buffer_rows:
            self._flush()

    def totals(self) -> NDArray[np.float64]:
        """The weighted counts of the window, then the sums of the rows' weights and of the weights' squares.

        Totals of several workers add up.
        """
        self._advance(self._clock())
        total: NDArray[np.float64] = self._slots.sum(axis=0)
        return total

    def figures(self, totals: NDArray[np.float64]) -> Figures:
        """What the totals of one or more workers say."""
        counts, (weights, squares) = totals[:-_SUMS], totals[-_SUMS:].tolist()
        rows = effective_rows(weights, squares)
        return Figures(rows, [*self._bins.figures(counts * (rows / weights if weights else 0.0), rows)])

    def close(self) -> None:
        """Stop reporting."""
        self.on_close()

    def _flush(self) -> None:
        """Count the buffered rows, which all have the same weight."""
        if not self._buffered:
            return
        weight, rows = self._weight, self._buffered
        slot = self._slots[self._slot % len(self._slots)]
        slot[:-_SUMS] += weight * self._bins.count(np.concatenate(self._rows), np.concatenate(self._predictions))
        slot[-_SUMS:] += (weight * rows, weight * weight * rows)
        self._rows, self._predictions, self._buffered = [], [], 0

    def _advance(self, now_s: float) -> None:
        """Count what is buffered, and empty the slots that have left the window."""
        self._flush()
        slot = int(now_s // self._slot_s)
        for passed in range(max(self._slot, slot - len(self._slots)) + 1, slot + 1):
            self._slots[passed % len(self._slots)] = 0
        self._slot = max(slot, self._slot)
        self._slot_ends_s = (self._slot + 1) * self._slot_s
