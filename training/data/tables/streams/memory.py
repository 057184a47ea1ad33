"""How much memory this process may take, and how much a table would take."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")
# By hierarchy: the folder of its groups, and the file with the limit of each.
_VERSION_1: Final = ("memory", "memory.limit_in_bytes")
_VERSION_2: Final = ("", "memory.max")
_SHARE: Final = 0.7  # of the memory that is free; other programs and this one need some
# The peak of loading and preparing a table, in bytes of its numbers as float64: measured at 1.2 for Parquet files.
_PEAK: Final = 1.5
_FLOAT64_BYTES: Final = 8


def budget_bytes(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """The memory that a run may take: most of what the machine has free, and of the limits of its control groups.

    None where neither is known.
    """
    found = [*_available(proc), *_limits(proc, cgroups)]
    return int(min(found) * _SHARE) if found else None


def needed_bytes(rows: int, columns: int) -> int:
    """About what a table takes at the peak of loading and preparing it in memory."""
    return int(rows * columns * _FLOAT64_BYTES * _PEAK)


def shown(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.3g} MB"


def _available(proc: Path) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                yield int(value.split()[0]) * 1024


def _limits(proc: Path, cgroups: Path) -> Iterator[int]:
    """The limits of this process's control group and of all groups around it."""
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            folder, name = _VERSION_1 if controllers else _VERSION_2
            group = Path(path.lstrip("/"))
            for each in (group, *group.parents):
                with contextlib.suppress(OSError, ValueError):  # no such group here, or "max"
                    yield int((cgroups / folder / each / name).read_text())
