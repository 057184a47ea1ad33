"""Processor time that the machine spends on others while something is measured."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_TICKS_S: Final = os.sysconf("SC_CLK_TCK")


def machine_s(stat: str) -> float:
    """Processor time of all programs in seconds, and time that the host took, from the text of /proc/stat.

    Interrupts are left out: those of the loopback interface belong to the load itself.
    """
    user, nice, system, _, _, _, _, stolen = (int(ticks) for ticks in stat.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + stolen) / _TICKS_S


def own_s() -> float:
    """Processor time of this process, and of those that it started and that have ended, in seconds."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


class Watch:
    """How many processors others use, from its creation on."""

    def __init__(self) -> None:
        self._since_s = time.perf_counter()
        self._machine_s, self._own_s = machine_s(_STAT.read_text()), own_s()

    def others(self, server_s: float) -> float:
        """The mean number of processors; ``server_s`` is the processor time of a server that is none of the others."""
        used_s = machine_s(_STAT.read_text()) - self._machine_s - (own_s() - self._own_s) - server_s
        return max(0.0, used_s) / (time.perf_counter() - self._since_s)
