"""Results are refused or left out if they are too uncertain, too few, or of files that are not committed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import publishing
from benchmarks.targets import BARE

CASE = {"body": "json", "rows": 1, "connections": 64}
NAME, LOAD = "ours (json) beside", ", rows: 1, connections: 64"
WIDE = "its ratio of 1 (0.5 to 1.5) is 100% wide, expected at most 10%"


def results(*ratios: float, beside: str = BARE, commit: str = "f" * 40) -> dict[str, Any]:
    """Two servers with these ratios of their requests per second, one a round."""
    first = CASE | {"server": "ours", "beside": beside, "runs": [{"requests_s": 1e4 * each} for each in ratios]}
    second = CASE | {"server": beside, "beside": "ours", "runs": [{"requests_s": 1e4} for _ in ratios]}
    return {"provenance": {"commit": commit}, "left_out": {"nginx": "not installed"}, "lines": [first, second]}


def test_certain_results_may_be_published() -> None:
    found = results(*[0.99, 1.0, 1.01] * 3)
    assert publishing.reasons(found) == []
    assert publishing.certain(found) == found


def test_a_wide_interval_beside_bare_uvicorn_is_refused_with_its_bounds() -> None:
    assert publishing.reasons(results(*[0.5, 1.0, 1.5] * 3)) == [f"{NAME} {BARE}{LOAD}: {WIDE}"]


def test_a_load_with_a_wide_interval_beside_another_server_is_left_out_with_its_bounds() -> None:
    found, wide = results(*[0.99, 1.0, 1.01] * 3), results(*[0.5, 1.0, 1.5] * 3, beside="another")
    both = found | {"lines": found["lines"] + wide["lines"]}
    assert publishing.reasons(both) == []
    left_out = {"nginx": "not installed", f"{NAME} another{LOAD}": WIDE}
    assert publishing.certain(both) == found | {"left_out": left_out}


def test_one_outlier_is_no_reason() -> None:
    assert publishing.reasons(results(*[1.0] * 8, 0.2)) == []


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_server_that_answers_nothing_is_refused() -> None:
    found = results(*[1.0] * 9)
    for run in found["lines"][1]["runs"]:
        run["requests_s"] = 0.0
    (reason,) = publishing.reasons(found)
    assert "inf (inf to inf)" in reason


def test_too_few_rounds_are_refused() -> None:
    assert publishing.reasons(results(1.0, 1.0)) == ["2 rounds were measured, expected at least 9"]


def test_uncommitted_changes_are_refused() -> None:
    found = results(*[1.0] * 9, commit=f"{'f' * 40} with uncommitted changes")
    assert publishing.reasons(found) == ["the measured files have uncommitted changes"]
