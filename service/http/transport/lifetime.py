"""How long a connection may live, so that clients with lasting connections spread over new servers."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Connections that were opened together must not be closed together.
_JITTER: Final = 0.1


def _random_factor() -> float:
    return random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits of every connection, 0 for none. Each connection gets its own, up to a tenth more or less.

    ``jitter()`` is a random factor.
    """

    max_age_s: float = 0.0
    max_requests: int = 0
    jitter: Callable[[], float] = _random_factor

    def age_s(self) -> float:
        """The age at which a new connection is old; 0 for never."""
        return self.max_age_s * self.jitter()

    def requests(self) -> int:
        """How many requests a new connection may answer."""
        return max(round(self.max_requests * self.jitter()), 1) if self.max_requests else sys.maxsize
