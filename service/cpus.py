"""The CPUs this process may use: by its affinity mask and its container's quota, not by what the host has."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")


def available(cgroups: Path = _CGROUPS, own_groups: Path = Path("/proc/self/cgroup")) -> float:
    """CPU seconds per second, possibly a fraction."""
    return min(len(os.sched_getaffinity(0)), quota(cgroups, own_groups))


def quota(cgroups: Path, own_groups: Path) -> float:
    """The smallest quota of the process's control groups, version 2 or 1; infinity if there is none.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us).
    """
    limits = [math.inf]
    for line in _lines(own_groups):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += [_v2(folder) for folder in _ancestors(cgroups, path)]
        elif "cpu" in controllers.split(","):
            for mounted in (cgroups / "cpu", cgroups / controllers):
                limits += [_v1(folder) for folder in _ancestors(mounted, path)]
    return min(limits)


def _ancestors(root: Path, path: str) -> list[Path]:
    # In a container the path can be the host's and not exist; the root is then the container's own group.
    folder = root / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _v2(folder: Path) -> float:
    words = " ".join(_lines(folder / "cpu.max")).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else math.inf


def _v1(folder: Path) -> float:
    quota_us = " ".join(_lines(folder / "cpu.cfs_quota_us"))
    period_us = " ".join(_lines(folder / "cpu.cfs_period_us"))
    return int(quota_us) / int(period_us) if period_us and int(quota_us) > 0 else math.inf


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
