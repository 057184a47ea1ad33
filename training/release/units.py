"""Finds features and targets whose unit seems to have changed: metres to millimetres, pixels to fractions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.release.interface import Interface, listed

# Fewer values say little about a column.
_MIN_VALUES: Final = 10
# Typical values of one column in one unit are closer than this, from version to version.
_FACTOR: Final = 10


def changed(old: Interface, new: Interface, old_rows: NDArray[Any], new_rows: NDArray[Any]) -> list[str]:
    """Clauses on numeric features that seem to have another unit.

    ``old_rows`` are the golden rows of the old version and ``new_rows`` the test rows of the new one, both
    (rows, features), of the same features. The medians of their absolute values must differ by a factor of `_FACTOR`,
    and half of the larger ones must exceed all of the smaller ones.
    """
    if new.input_dtype == old.input_dtype == "uint8":
        return _pixels(old, new)
    names = [
        feature.name
        for index, feature in enumerate(old.features)
        if feature.kind == "numeric" and differs(old_rows[:, index], new_rows[:, index])
    ]
    if not names:
        return []
    first = [each.name for each in old.features].index(names[0])
    before, after = (_typical(rows[:, first]) for rows in (old_rows, new_rows))
    verb = "seems" if len(names) == 1 else "seem"
    return [
        f"the feature{'s' if len(names) > 1 else ''} {listed(names)} {verb} to be in another unit: half of "
        f"{names[0]!r} is beyond ±{after:.3g}, and was beyond ±{before:.3g}"
    ]


def changed_targets(targets: tuple[str, ...], old: NDArray[Any], new: NDArray[Any]) -> list[str]:
    """The same for the targets of a regression; ``old`` and ``new`` are values (rows, targets)."""
    return [
        f"the target {name!r} seems to be in another unit: half of its values are beyond ±{_typical(after):.3g}, and "
        f"were beyond ±{_typical(before):.3g}"
        for name, before, after in zip(targets, old.T, new.T, strict=True)
        if differs(before, after)
    ]


def differs(old: NDArray[Any], new: NDArray[Any]) -> bool:
    """Whether ``old`` and ``new`` values (n,) seem to be in different units; NaN is a missing value."""
    sizes = [np.abs(values[~np.isnan(values)].astype(np.float64)) for values in (old, new)]
    if min(map(len, sizes)) < _MIN_VALUES:
        return False
    smaller, larger = sorted(sizes, key=lambda each: float(np.median(each)))
    low, high = float(np.median(smaller)), float(np.median(larger))
    return 0 < low * _FACTOR <= high and high > float(smaller.max())


def _typical(values: NDArray[Any]) -> float:
    return float(np.nanmedian(np.abs(values)))


def _pixels(old: Interface, new: Interface) -> list[str]:
    """Images are judged by their brightest pixel: most single pixels are black in most images."""
    before, after = (max(feature.max for feature in each.features) for each in (old, new))
    if max(before, after) < _FACTOR * min(before, after):
        return []
    return [f"its pixels go up to {after:g}, and went up to {before:g}"]
