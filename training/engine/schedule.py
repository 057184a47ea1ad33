"""Learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

_WARMUP: Final = 0.3
_FIRST: Final = 1 / 25  # of the peak
_LAST: Final = 1e-4  # of the first


def one_cycle(peak: float, steps: int) -> Callable[[int], float]:
    """The learning rate of steps 0 to ``steps`` - 1: up to ``peak`` over the first 30 %, then down to nearly 0.

    https://arxiv.org/abs/1708.07120 (Smith & Topin), with the cosine shape and defaults of torch's OneCycleLR. A single
    step is taken at the peak.
    """
    if steps == 1:
        return lambda _step: peak
    top, end = _WARMUP * steps - 1, steps - 1
    first = peak * _FIRST

    def rate(step: int) -> float:
        if step <= top:
            return _cosine(first, peak, step / top)
        return _cosine(peak, first * _LAST, (step - top) / (end - top))

    return rate


def cosine(first: float, steps: int) -> Callable[[int], float]:
    """The learning rate of steps 0 to ``steps`` - 1: from ``first`` along half a cosine towards 0.

    https://arxiv.org/abs/1608.03983 (Loshchilov & Hutter), without restarts.
    """
    return lambda step: _cosine(first, 0.0, step / steps)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


BY_NAME: Final[dict[str, Callable[[float, int], Callable[[int], float]]]] = {"one_cycle": one_cycle, "cosine": cosine}
