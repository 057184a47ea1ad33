"""Token buckets in memory that all workers share, so that a limit holds for the server, not for each worker.

A bucket is one number: the time at which it will be full again. Taking from it moves that time on. Workers do not lock:
if two take from a bucket in the same microsecond, one of the two may not be counted.
"""

from __future__ import annotations

import hashlib
import mmap
import time
from collections.abc import Callable, Sequence
from typing import Final

from service.keys.key_file import MAX_KEYS, Key

# What may come at once is what a second allows.
BURST_S: Final = 1.0
_SLOTS: Final = 4 * MAX_KEYS  # with room, so that keys seldom move when others come and go
_ITEM_BYTES: Final = 8
_ROUNDING_S: Final = 1e-9


class Bucket:
    """Lets ``rate_per_s`` pass, and after a pause as much as a second allows, but at least 1.

    With ``whole``, an amount passes if there is room for 1 and may leave a debt: so it may be larger than a second's.
    """

    __slots__ = ("_clock", "_full_at_s", "_most_s", "_slot", "rate_per_s")

    def __init__(
        self,
        full_at_s: memoryview[float],
        slot: int,
        rate_per_s: float,
        clock: Callable[[], float],
        *,
        whole: bool = False,
    ) -> None:
        self._full_at_s = full_at_s
        self._slot = slot
        self.rate_per_s = rate_per_s
        self._clock = clock
        self._most_s = BURST_S if whole else max(BURST_S - 1 / rate_per_s, 0.0)

    def take(self, amount: int = 1) -> float:
        """Take ``amount`` and return 0, or take nothing and return how many seconds to wait."""
        now_s = self._clock()
        missing_s = max(self._full_at_s[self._slot] - now_s, 0.0)
        wait_s: float = missing_s - self._most_s
        if wait_s > _ROUNDING_S:
            return wait_s
        self._full_at_s[self._slot] = now_s + missing_s + amount / self.rate_per_s
        return 0.0


class Buckets:
    """The buckets of all keys, in 64 kB. Make it before the processes are forked.

    ``clock`` gives seconds, the same in all processes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at_s = memoryview(mmap.mmap(-1, 2 * _SLOTS * _ITEM_BYTES)).cast("d")

    def of(self, keys: Sequence[Key]) -> dict[str, tuple[Bucket | None, Bucket | None]]:
        """For each key's name its buckets of requests and of rows, None without a limit.

        Every process that reads the same keys finds the same buckets. A key with new limits gets fresh ones.
        """
        found: dict[str, tuple[Bucket | None, Bucket | None]] = {}
        taken: set[int] = set()
        for place, key in sorted((_place(key), key) for key in keys if key.requests_per_s or key.rows_per_s):
            slot = place
            while slot in taken:
                slot = (slot + 1) % _SLOTS
            taken.add(slot)
            requests, rows = key.requests_per_s, key.rows_per_s
            found[key.name] = (
                Bucket(self._full_at_s, 2 * slot, requests, self._clock) if requests else None,
                Bucket(self._full_at_s, 2 * slot + 1, rows, self._clock, whole=True) if rows else None,
            )
        return found


def _place(key: Key) -> int:
    """The slot of a key, unless another one has it."""
    known = f"{key.digest.hex()} {key.requests_per_s} {key.rows_per_s}".encode()
    return int.from_bytes(hashlib.sha256(known).digest()[:8], "big") % _SLOTS
