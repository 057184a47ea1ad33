"""The cost of a turn is fitted exactly where it is a line, and its CPU equals that of a simulated event loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.capacity.costs import CONNECTIONS, TurnCost, refusals, turn_cost

COST = TurnCost(fixed_us=160, each_us=50)


def bench(fixed_us: float, each_us: float) -> dict[str, Any]:
    lines = [
        {"server": "ours int8", "beside": "bare uvicorn", "body": "json", "rows": 1, "connections": count}
        | {"runs": [{"processor_us": each_us + fixed_us / count}]}
        for count in CONNECTIONS
    ]
    return {"lines": lines}


def test_the_fit_finds_a_line() -> None:
    cost = turn_cost(bench(160, 50), "json", 1)
    assert (cost.fixed_us, cost.each_us) == pytest.approx((160, 50))
    assert cost.saturated_us == pytest.approx(50 + 160 / 64)
    assert cost.capacity_s == pytest.approx(1e6 / 52.5)


def test_a_case_that_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="'rows': 32"):
        turn_cost(bench(160, 50), "json", 32)


def test_results_that_are_missing_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"capacity_reality\.json is not there; run python -m benchmarks\.capacity\.reality"
    ):
        refusals(tmp_path)


def test_a_refusal_that_costs_more_than_an_answer_was_measured_badly(tmp_path: Path) -> None:
    found = {"refusals": [{"body": "json", "rows": 1, "share": 1.2}]}
    (tmp_path / "capacity_reality.json").write_text(json.dumps(found))
    with pytest.raises(ValueError, match=r"refusing 1 json rows takes 1\.2 of an answer, expected less; measure again"):
        refusals(tmp_path)


def test_without_a_fixed_cost_cpu_is_proportional_to_load() -> None:
    busy = TurnCost(0, 100).busy(np.array([0.0, 1000.0, 5000.0, 20_000.0]))
    assert busy.tolist() == pytest.approx([0, 0.1, 0.5, 1])


def test_at_light_load_each_request_pays_for_its_turn() -> None:
    assert COST.busy(np.array([10.0]))[0] == pytest.approx(10 * 210e-6, rel=0.01)


def test_a_saturated_worker_is_always_busy() -> None:
    assert COST.busy(np.array([COST.capacity_s, 1e6])).tolist() == [1, 1]
    assert np.all(np.diff(COST.busy(np.linspace(0, 20_000, 500))) >= 0)


@pytest.mark.parametrize("rate_s", [500, 2000, 4000, 8000])
def test_cpu_equals_that_of_an_event_loop_with_poisson_arrivals(rate_s: float) -> None:
    generator, waiting, busy_s, all_s, length_s, turns = np.random.default_rng(0), 1, 0.0, 0.0, 0.0, 20_000
    for _ in range(turns):
        if not waiting:
            all_s += generator.exponential(1 / rate_s)
            waiting = 1
        turn_s = (COST.fixed_us + COST.each_us * waiting) / 1e6
        busy_s, all_s, length_s = busy_s + turn_s, all_s + turn_s, length_s + turn_s
        waiting = generator.poisson(rate_s * turn_s)
    assert COST.busy(np.array([rate_s]))[0] == pytest.approx(busy_s / all_s, rel=0.03)
    assert COST.turn_s(rate_s) == pytest.approx(length_s / turns, rel=0.03)
