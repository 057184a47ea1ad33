"""Pairs alternate, uncertain comparisons get more rounds, and the compared servers are those that the targets name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.bench import complete
from benchmarks.comparisons import COMPARISONS, QUICK, Load
from benchmarks.named_table import NUMBERS, TEXTS, rows
from benchmarks.other_work import machine_s
from benchmarks.paired import Run, pair
from benchmarks.targets import BARE, OURS


class Compared:
    """A comparison with these ratios in its rounds, three of which are measured at a time."""

    def __init__(self, *ratios: float) -> None:
        self.ratios, self.rounds = ratios, 0

    def add_rounds(self) -> None:
        self.rounds += 3

    def lines(self) -> list[dict[str, Any]]:
        case = {"body": "json", "rows": 1, "connections": 1}
        found = self.ratios[: self.rounds]
        return [
            case | {"server": "a", "beside": "b", "runs": [{"requests_s": each} for each in found]},
            case | {"server": "b", "beside": "a", "runs": [{"requests_s": 1.0} for _ in found]},
        ]


@pytest.mark.parametrize(
    ("ratios", "rounds"),
    [
        pytest.param([1.0] * 18, 9, id="certain"),
        pytest.param([0.5, 1.0, 1.5] * 3 + [1.0] * 9, 15, id="certain after more rounds"),
        pytest.param([0.5, 1.0, 1.5] * 6, 18, id="never certain"),
    ],
)
def test_uncertain_comparisons_get_more_rounds_up_to_twice_as_many(ratios: list[float], rounds: int) -> None:
    compared = Compared(*ratios)
    complete(compared, 9)
    assert compared.rounds == rounds


def test_the_order_of_a_pair_alternates_and_its_results_do_not() -> None:
    order: list[str] = []

    def measured(name: str, figure: float) -> Callable[[], Run]:
        def measure() -> Run:
            order.append(name)
            return {"requests_s": figure}

        return measure

    for turn in range(3):
        assert pair(measured("a", 1), measured("b", 2), turn) == ({"requests_s": 1}, {"requests_s": 2})
    assert order == ["b", "a", "a", "b", "b", "a"]


def test_no_comparison_is_there_twice() -> None:
    pairs = [each[:2] for each in COMPARISONS]
    assert len(set(pairs)) == len(pairs)
    assert all(each.first != each.second for each in COMPARISONS)


def test_the_quick_comparisons_are_ours_and_bare_uvicorn_with_some_of_all_loads() -> None:
    for quick, each in zip(QUICK, COMPARISONS, strict=False):
        assert quick[:2] == each[:2]
        assert set(quick.loads) < set(each.loads)
        assert (quick.first.server, quick.second.server) == (OURS, BARE)
    assert [each.first.body for each in QUICK] == ["json", "raw"]


def test_the_costs_of_the_capacity_simulator_are_among_the_loads() -> None:
    needed = {Load(rows, connections) for rows in (1, 32) for connections in (1, 16, 64)}
    assert all(needed <= set(each.loads) for each in COMPARISONS[:2])


def test_the_table_has_nineteen_columns_ten_of_them_texts() -> None:
    first, second = rows(2)
    assert [type(value) for value in first.values()] == [str] * 10 + [float] * 9
    assert list(second) == [*TEXTS, *NUMBERS]
    assert rows(2) == [first, second]


def test_the_machine_works_for_programs_and_for_its_host() -> None:
    """1 s in user mode, 2 nice, 3 in the kernel, 4 idle, 5 for disks, 6 and 7 for interrupts, 8 for other machines."""
    stat = "cpu  100 200 300 400 500 600 700 800 90 90\ncpu0 1 2 3 4 5 6 7 8 9 9\n"
    assert machine_s(stat) == 14.0
