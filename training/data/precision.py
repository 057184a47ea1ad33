"""Which columns lose differences between their values in float32 or even float64, and how many digits to show."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PAIRS: Final = 2**16
_CHANGED: Final = 0.01  # relative error from which a difference counts as changed
_CHANGED_SHARE: Final = 0.01  # of the pairs; fewer do not affect a network
_NOISE: Final = 2.0**-44  # smaller relative differences between non-integers are rounding errors
_MAX_EXACT: Final = 2.0**53
_FAR_RATIO: Final = 1000
_EXPONENT_FROM: Final = 1e7


def needs_float64(values: NDArray[Any]) -> bool:
    """Return whether float32 would lose differences between ``values`` (rows,); NaN is a missing value.

    True if float32 changes the difference by more than 1 % in more than 1 % of the pairs of different values. That
    holds for seconds since 1970 within a day or ids that count on from 2**24, but not for numbers that are spread as
    widely as they are large. Random pairs are compared instead of the standard deviation, because a few outliers, such
    as 0 for "never" among times, would hide the loss.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    with np.errstate(over="ignore"):
        rounded = known.astype(np.float32).astype(np.float64)
    if (rounded == known).all():
        return False
    noise = 0.0 if (known == np.rint(known)).all() else _NOISE
    first, second = np.random.default_rng(0).integers(len(known), size=(2, _PAIRS))
    difference = known[first] - known[second]
    differ = np.abs(difference) > noise * np.maximum(np.abs(known[first]), np.abs(known[second]))
    with np.errstate(invalid="ignore"):  # inf - inf, beyond float32's range
        kept = np.abs(rounded[first] - rounded[second] - difference) <= _CHANGED * np.abs(difference)
    return int((differ & ~kept).sum()) > _CHANGED_SHARE * int(differ.sum())


def outliers_hide_differences(values: NDArray[np.float64]) -> bool:
    """Return whether ``values`` (rows,) need float64 even when standardised, because of far outliers."""
    centred = values - np.nanmin(values)
    centred -= np.nanmean(centred)
    return needs_float64(centred / np.nanstd(centred))


def float64_step(values: NDArray[np.float64]) -> float | None:
    """Return the step to which float64 rounds the largest of ``values`` (rows,), if all are integers and it exceeds 1.

    None otherwise. The values were rounded to it when they were read.
    """
    known = values[~np.isnan(values)]
    largest = float(np.abs(known).max(initial=0))
    if largest <= _MAX_EXACT or not (known == np.rint(known)).all():
        return None
    return float(np.spacing(largest))


def format_value(value: float, spread: float, digits: int = 4) -> str:
    """Format with ``digits`` significant digits, or all of an integer part below ten million, or, if ``spread`` is tiny
    beside the value, to a tenth of it."""
    if not 0 < spread * _FAR_RATIO < abs(value):
        return f"{value:.0f}" if 10**digits <= abs(value) < _EXPONENT_FROM else f"{value:.{digits}g}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(spread)))}f}"
