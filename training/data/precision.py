"""Which numbers float32 holds too coarsely to tell apart, which even float64 does, and the digits that show them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PAIRS: Final = 2**16
_COARSE: Final = 0.01  # a difference that is off by this share of itself is another difference
_OFTEN: Final = 0.01  # so many pairs of a hundred: what is rarer no network sees
_NOISE: Final = 2.0**-44  # of a number's size: what differs by less, and is not whole, was computed in two ways
_WHOLE_MAX: Final = 2.0**53
_FAR: Final = 1000


def float32_blurs(values: NDArray[Any]) -> bool:
    """Whether float32 changes what tells ``values`` (rows,) apart; NaN is a missing value.

    It does where, of the pairs of rows that differ, it changes the difference of more than one in a hundred by more
    than a hundredth: in seconds since 1970 over a day, or in ids that count on from 2**24, but not in numbers of any
    size that are spread as widely as they are large. Pairs are compared, and not the standard deviation, because a few
    values far away, such as a 0 for "never" among times, would hide what is lost among all others.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    with np.errstate(over="ignore"):
        rounded = known.astype(np.float32).astype(np.float64)
    if (rounded == known).all():
        return False
    noise = 0.0 if (known == np.rint(known)).all() else _NOISE
    first, second = np.random.default_rng(0).integers(len(known), size=(2, _PAIRS))
    apart = known[first] - known[second]
    differ = np.abs(apart) > noise * np.maximum(np.abs(known[first]), np.abs(known[second]))
    with np.errstate(invalid="ignore"):  # beyond float32's largest number
        kept = np.abs(rounded[first] - rounded[second] - apart) <= _COARSE * np.abs(apart)
    return int((differ & ~kept).sum()) > _OFTEN * int(differ.sum())


def outliers_blur(values: NDArray[np.float64]) -> bool:
    """Whether float32 blurs ``values`` (rows,) even in standard deviations from their mean: where some are so far away
    that beside them all others are one."""
    centred = values - np.nanmin(values)
    centred -= np.nanmean(centred)
    return float32_blurs(centred / np.nanstd(centred))


def float64_step(values: NDArray[np.float64]) -> float | None:
    """The least difference that float64 holds among ``values`` (rows,), all of them whole numbers, some of them so
    large that it is more than 1; else None. They were rounded to it when they were read."""
    known = values[~np.isnan(values)]
    largest = float(np.abs(known).max(initial=0))
    if largest <= _WHOLE_MAX or not (known == np.rint(known)).all():
        return None
    return float(np.spacing(largest))


def shown(value: float, spread: float, digits: int = 4) -> str:
    """``value`` in so many ``digits``, or, where it is far from zero, in as many as show a tenth of ``spread``."""
    if not 0 < spread * _FAR < abs(value):
        return f"{value:.{digits}g}"
    return f"{value:.{max(0, 1 - math.floor(math.log10(spread)))}f}"
