"""What running the network takes: as measured at start, and as it is at present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# What each call leaves of the weight of those before it.
_DECAY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Costs:
    """What running the network takes, as measured at start: ``run_s`` for a call and ``row_s`` for each row in it.

    ``inline_rows`` is the largest request that may run on the event loop, ``batch_rows`` the most rows of one call.
    """

    run_s: float
    row_s: float
    inline_rows: int
    batch_rows: int

    def of(self, rows: int) -> float:
        """Seconds that ``rows`` rows take, in full calls."""
        return self.run_s + (self.run_s / self.batch_rows + self.row_s) * rows


class Pace:
    """How long the calls of a lane take at present, beside ``Costs``, which were measured on an idle machine.

    ``times`` is how many times longer the network takes, at least 1. ``between_s`` is what passes beside each call, in
    which requests are answered, and others read and decoded. Both are moving averages.
    """

    __slots__ = ("_cost_s", "_ran_s", "between_s", "times")

    def __init__(self) -> None:
        self.times = 1.0
        self.between_s = 0.0
        self._ran_s = self._cost_s = 0.0

    def add(self, took_s: float, ran_s: float, cost_s: float) -> None:
        """Count a call that took ``took_s``, of which the network ran ``ran_s`` and should have run ``cost_s``."""
        self._ran_s = ran = _DECAY * self._ran_s + ran_s
        self._cost_s = cost = _DECAY * self._cost_s + cost_s
        self.times = ran / cost if ran > cost > 0 else 1.0
        self.between_s += (1 - _DECAY) * (took_s - ran_s - self.between_s)

    def of(self, cost_s: float, calls: float) -> float:
        """Seconds that so many calls take which cost ``cost_s`` together."""
        return self.times * cost_s + self.between_s * calls
