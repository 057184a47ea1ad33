"""Quotas read from control groups laid out as on Linux."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from service import cpus


def laid_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("own_groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "200000 100000", "a/b/cpu.max": "400000 100000"}, 2.0),
        # the host's path, seen from inside the container
        ("0::/docker/abc\n", {"cpu.max": "50000 100000"}, 0.5),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        (
            "4:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "100000", "cpu,cpuacct/x/cpu.cfs_period_us": "50000"},
            2.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        ("5:memory:/\n", {"cpu.max": "100000 100000"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, own_groups: str, files: dict[str, str], expected: float) -> None:
    own = tmp_path / "own"
    own.write_text(own_groups)
    assert cpus.quota(laid_out(tmp_path / "cgroup", files), own) == expected


def test_affinity_limits_the_cpus(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cpus.available(tmp_path, tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, allowed)
