"""Results come in order, errors in their turn, and no thread is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from service.scoring.ordered import ordered


def test_results_are_in_order_whoever_is_first() -> None:
    """The first item is done last: its worker waits until the second one is."""
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        if item == 1:
            second_done.set()
        return item * item

    assert list(ordered(work, iter(range(100)), 2)) == [item * item for item in range(100)]


def test_few_items_wait() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = ordered(lambda item: item, items(), 2)
    for done in range(20):
        assert next(results) == done
        assert len(taken) <= done + 2 * 2 + 2
    results.close()
    assert threading.active_count() == 1


@pytest.mark.parametrize("of_items", [True, False])
def test_an_error_comes_after_the_results_before_it(of_items: bool) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        if of_items:
            raise ValueError("no more")
        yield from range(3, 10)

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("no more")
        return item

    results = ordered(work, items(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(results)
    assert threading.active_count() == 1


def test_no_items() -> None:
    assert list(ordered(lambda item: item, iter(()), 3)) == []
