"""How methods compare over data sets and seeds: average ranks, and geometric means of ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import geometric_mean

from scipy.stats import rankdata

Losses = Mapping[str, Mapping[str, Sequence[float]]]
"""By method and data set, one for each seed."""


def average_ranks(losses: Losses, methods: Sequence[str]) -> dict[str, float]:
    """The mean rank of each method among ``methods`` over all pairs of set and seed; equal losses share a rank.

    Pairs that one of them lacks are left out.
    """
    pairs = [
        losses_of_pair
        for name in losses[methods[0]]
        for losses_of_pair in zip(*(losses[method].get(name, ()) for method in methods), strict=False)
    ]
    means = rankdata(pairs, axis=1).mean(axis=0)
    return dict(zip(methods, means.tolist(), strict=True))


def ratio(losses: Losses, method: str, base: str) -> float:
    """The geometric mean over the sets of a method's mean loss, divided by that of ``base``."""
    return geometric_mean(ratios(losses, method, base).values())


def ratios(losses: Losses, method: str, base: str) -> dict[str, float]:
    """The mean loss of a method divided by that of ``base``, by set, where both have seeds in common."""
    found = {}
    for name, values in losses[method].items():
        pairs = list(zip(values, losses[base].get(name, ()), strict=False))
        if pairs:
            found[name] = sum(first for first, _ in pairs) / sum(second for _, second in pairs)
    return found
