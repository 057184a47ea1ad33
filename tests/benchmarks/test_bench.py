"""Pairs alternate, uncertain loads get more rounds, and the compared servers are those that the targets name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks import report
from benchmarks.bench import PUBLISHED, UNPUBLISHED, complete, destination
from benchmarks.comparisons import COMPARISONS, QUICK, Load
from benchmarks.named_table import NUMBERS, TEXTS, rows
from benchmarks.other_work import machine_s
from benchmarks.paired import Run, pair
from benchmarks.targets import BARE, OURS


class Compared:
    """A comparison whose first load is uncertain until ``certain`` rounds were measured."""

    def __init__(self, certain: int) -> None:
        self.certain, self.rounds = certain, 0
        self.measured: list[int] = []

    def uncertain(self) -> list[Load]:
        return [] if self.rounds >= self.certain else [LOADS[0]]

    def add_rounds(self, loads: Sequence[Load]) -> None:
        self.rounds += 3
        self.measured.append(len(loads))


LOADS = (Load(1, 1), Load(1, 64))


@pytest.mark.parametrize(
    ("certain", "measured"),
    [
        pytest.param(9, [2, 2, 2], id="certain"),
        pytest.param(13, [2, 2, 2, 1, 1], id="certain after more rounds"),
        pytest.param(100, [2, 2, 2, 1, 1, 1], id="never certain"),
    ],
)
def test_uncertain_loads_get_more_rounds_up_to_the_most(certain: int, measured: list[int]) -> None:
    compared = Compared(certain)
    complete(compared, LOADS, 9, 18)
    assert compared.measured == measured


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


def test_only_whole_results_that_are_not_refused_are_published() -> None:
    assert destination([], COMPARISONS) == PUBLISHED == report.RESULTS / "bench.json"
    assert destination([], QUICK) == UNPUBLISHED
    assert destination([], COMPARISONS[:-1]) == UNPUBLISHED
    assert destination(["an interval is 11% wide"], COMPARISONS) == UNPUBLISHED
    assert report.RESULTS not in UNPUBLISHED.parents


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
