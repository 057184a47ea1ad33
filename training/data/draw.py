"""Draw a share of the rows for a part: at random and stratified by class, by whole groups, or the latest ones."""

from __future__ import annotations

from operator import itemgetter
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset

MIN_TARGETS: Final = 2  # of a regression in each part: R² needs two
# Random choices of groups of which the best is taken, as far as that many rows allow.
_MAX_TRIES: Final = 100
_MAX_TRIED_ROWS: Final = 10_000_000

_Rows = NDArray[np.int64]


class Draw(Protocol):
    """Draws about a ``fraction`` of ``rows``; the rest, returned first, can be divided into ``parts_left`` parts."""

    def __call__(
        self, dataset: Dataset, rows: _Rows, fraction: float, random: np.random.Generator, /, *, parts_left: int
    ) -> tuple[_Rows, _Rows]:
        """The rest and the rows drawn, in the order of ``rows``."""
        ...


def at_random(
    dataset: Dataset, rows: _Rows, fraction: float, random: np.random.Generator, *, parts_left: int
) -> tuple[_Rows, _Rows]:
    """The rest and a ``fraction`` of ``rows``; the rest is enough for ``parts_left`` parts.

    Each class has its share, rounded, and at least one row: scikit-learn's stratified split can leave a rare class out
    of a small part.
    """
    minimum = 1 if dataset.classifies else MIN_TARGETS
    rest, taken = [], []
    for members in by_class(dataset, rows):
        size = min(max(round(len(members) * fraction), minimum), len(members) - parts_left * minimum)
        shuffled = random.permutation(members)
        taken.append(shuffled[:size])
        rest.append(shuffled[size:])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(taken))


def by_class(dataset: Dataset, rows: _Rows) -> list[_Rows]:
    """The ``rows`` of each class; for a regression, all rows together."""
    if not dataset.classifies:
        return [rows]
    targets = dataset.targets[rows]
    return [rows[targets == label] for label in range(len(dataset.labels))]


def by_group(
    dataset: Dataset, rows: _Rows, fraction: float, random: np.random.Generator, *, parts_left: int
) -> tuple[_Rows, _Rows]:
    """The rest and about a ``fraction`` of ``rows`` in whole groups; the rest has at least ``parts_left`` groups.

    The best of many random choices is taken: each class should be in both, and then have its share.
    """
    assert dataset.division.groups is not None  # noqa: S101 - the caller draws by groups only if there are some
    _, groups = np.unique(dataset.division.groups[rows], return_inverse=True)
    classes = dataset.targets[rows] if dataset.classifies else np.zeros(len(rows), np.int64)
    class_rows = np.bincount(classes, minlength=max(len(dataset.labels), 1))
    sizes, strata = np.bincount(groups), _rarest_classes(groups, classes, class_rows)
    present = class_rows > 0

    def choice() -> tuple[tuple[float, float, float], NDArray[np.bool_]]:
        """How bad a random choice is, and its rows (rows,)."""
        taken = _choose_groups(sizes, strata, fraction, random, parts_left)[groups]
        counts, totals = np.bincount(classes[taken], minlength=len(class_rows))[present], class_rows[present]
        lacking = float((counts == totals).sum()), float((counts == 0).sum())
        return (*lacking, float(((counts / totals - fraction) ** 2).sum())), taken

    tries = min(_MAX_TRIES, 1 + _MAX_TRIED_ROWS // len(rows))
    _, taken = min((choice() for _ in range(tries)), key=itemgetter(0))
    return rows[~taken], rows[taken]


def _rarest_classes(
    groups: NDArray[np.intp], classes: NDArray[np.int64], class_rows: NDArray[np.intp]
) -> NDArray[np.int64]:
    """For each group how rare the rarest of its ``classes`` (rows,) is, 0 for the rarest of all, (groups,)."""
    rarity = np.argsort(np.argsort(class_rows, kind="stable"))
    rarest = np.full(int(groups.max()) + 1, len(class_rows), np.int64)
    np.minimum.at(rarest, groups, rarity[classes])
    return rarest


def _choose_groups(
    sizes: NDArray[np.intp], strata: NDArray[np.int64], fraction: float, random: np.random.Generator, left: int
) -> NDArray[np.bool_]:
    """Choose groups at random that have about a ``fraction`` of the rows of each stratum; ``left`` of each stay."""
    order = random.permutation(len(sizes))
    order = order[np.argsort(strata[order], kind="stable")]
    chosen: list[NDArray[np.int64]] = []
    owed = 0.0  # rows that were too few for a group in the strata before
    for members in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        total = np.concatenate([[0], np.cumsum(sizes[members])])
        owed += fraction * float(total[-1])
        count = min(int(np.abs(total - owed).argmin()), max(len(members) - left, 0))
        chosen.append(members[:count])
        owed -= float(total[count])
    taken = np.zeros(len(sizes), bool)
    taken[np.concatenate(chosen) if any(map(len, chosen)) else order[:1]] = True
    return taken


def latest(
    dataset: Dataset, rows: _Rows, fraction: float, _random: np.random.Generator, *, parts_left: int
) -> tuple[_Rows, _Rows]:
    """The earlier of ``rows``, and the latest, about a ``fraction``.

    Rows of one time stay together. The earlier rows have at least ``parts_left`` different times.
    """
    assert dataset.division.times is not None  # noqa: S101 - the caller draws by times only if there are some
    times = dataset.division.times[rows]
    distinct, counts = np.unique(times, return_counts=True)
    earlier = np.cumsum(counts)[:-1]  # rows before each time but the first
    minimum = 1 if dataset.classifies else MIN_TARGETS
    off = np.abs(earlier - (1 - fraction) * len(rows))
    off[(earlier < parts_left * minimum) | (len(rows) - earlier < minimum)] += len(rows)  # only if there is no other
    first = parts_left + int(off[parts_left - 1 :].argmin())
    taken = times >= distinct[first]
    return rows[~taken], rows[taken]
