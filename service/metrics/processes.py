"""The ``process_*`` metrics of a server with several workers: its processes added up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class ServerProcesses(Collector):
    """Adds up the metrics of the parent and all workers, dead ones included. The start time is the parent's."""

    def __init__(self) -> None:
        self._parent = os.getppid()

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families; none if the parent is dead."""
        try:
            before_s = _cpu_s_of_dead_children(self._parent)
            while True:
                totals = self._totals()
                dead_s = _cpu_s_of_dead_children(self._parent)
                if dead_s == before_s:  # else a worker died meanwhile, and may be counted twice or not at all
                    break
                before_s = dead_s
        except OSError:  # the parent was killed, and this process is about to end
            return
        for family in totals:
            if family.name == "process_cpu_seconds":
                family.samples = [family.samples[0]._replace(value=family.samples[0].value + dead_s)]
            yield family

    def _totals(self) -> list[Metric]:
        children = Path(f"/proc/{self._parent}/task/{self._parent}/children").read_text().split()
        totals: dict[str, Metric] = {}
        for pid in (self._parent, *map(int, children)):
            # A process that has just ended has fewer families, or none.
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                total = totals.setdefault(family.name, family)
                if total is not family and family.name != "process_start_time_seconds":
                    value = total.samples[0].value + family.samples[0].value
                    total.samples = [total.samples[0]._replace(value=value)]
        return [*totals.values()]


def _cpu_s_of_dead_children(pid: int) -> float:
    """The CPU time of ended children that the kernel added to a process (cutime and cstime in proc_pid_stat(5))."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[13:15])) / os.sysconf("SC_CLK_TCK")
