"""Measure two servers right after each other, so that a machine that slows down slows both."""

from __future__ import annotations

from collections.abc import Callable

Run = dict[str, float]


def pair(first: Callable[[], Run], second: Callable[[], Run], turn: int) -> tuple[Run, Run]:
    """What both measurements return; their order alternates with ``turn``, the number of the round."""
    if turn % 2:
        of_first = first()
        return of_first, second()
    of_second = second()
    return first(), of_second
