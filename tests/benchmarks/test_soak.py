"""What counts as a failure of the soak."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.soak import evaluate

GOOD: dict[str, Any] = {
    "requests": 1_000_000,
    "duration_s": 600.0,
    "wrong": 0,
    "lost": 0,
    "p50_ms": 3.0,
    "p99_ms": 9.0,
    "unusual": {"hang up": 10},
    "failures": [],
    "memory_mb": [70.0] * 100 + [80.0, 110.0] * 50 + [81.0, 110.0] * 100,
    "exit status": 0,
}


def test_correct_responses_constant_memory_and_a_clean_exit_pass() -> None:
    totals, faults = evaluate(GOOD)
    assert faults == []
    assert (totals["requests/s"], totals["minutes"], totals["hang up"]) == (1667, 10, 10)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"wrong": 1}, "1 responses were wrong"),
        ({"lost": 2}, "2 requests were lost"),
        ({"failures": ["_scrape: TimeoutError()"]}, "_scrape: TimeoutError()"),
        ({"exit status": -9}, "the server ended with exit status -9"),
        (
            {"memory_mb": [70.0] * 100 + [float(80 + index // 20) for index in range(300)]},
            "memory grew by 10.0 MB, at most 8 are allowed",
        ),
    ],
)
def test_each_fault_is_reported(change: dict[str, Any], fault: str) -> None:
    _, faults = evaluate(GOOD | change)
    assert faults == [fault]
