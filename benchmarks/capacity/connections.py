"""Which pod gets which share of the requests: by each request, or by connections that stay where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.capacity.costs import Floats

Flags = NDArray[np.bool_]


class Balanced:
    """Each request goes to any ready pod, as behind a proxy that balances requests."""

    def shares(self, ready: Flags) -> Floats:
        """The share of each pod."""
        shares: Floats = ready / ready.sum()
        return shares


class Connections:
    """Connections that carry equal loads, each closed at the age of ``age_s`` and opened to any ready pod.

    Their ages are spread evenly: each step closes those of one bin of ages, which come back after ``age_s``. With 0
    they are never closed. Those of a pod that ends are opened again at once.
    """

    def __init__(self, age_s: float, step_s: float) -> None:
        self._bins = np.zeros((max(round(age_s / step_s), 1), 0))
        self._stay = age_s == 0
        self._next = 0

    def shares(self, ready: Flags) -> Floats:
        """The share of each pod in this step."""
        bins, pods, each = len(self._bins), len(ready), ready / ready.sum()
        if not self._bins.size:
            self._bins = np.tile(each / bins, (bins, 1))
        moved = 0.0
        if self._bins.shape[1] != pods:
            moved = self._bins[:, pods:].sum()
            kept = self._bins[:, :pods]
            self._bins = np.hstack([kept, np.zeros((bins, pods - kept.shape[1]))])
        if not self._stay:
            moved += self._bins[self._next].sum()
            self._bins[self._next] = 0
        self._bins[self._next] += moved * each
        self._next = (self._next + 1) % bins
        shares: Floats = self._bins.sum(axis=0)
        return shares
