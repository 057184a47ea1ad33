"""A generator that runs ahead in a thread: order, limit, errors, and its end."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from training.engine.read_ahead import read_ahead


def test_items_come_in_order() -> None:
    assert list(read_ahead((number for number in range(100)), 3)) == list(range(100))


def test_no_more_are_made_than_wait() -> None:
    made: list[int] = []
    waiting = threading.Event()

    def items() -> Generator[int, None, None]:
        for number in range(10):
            made.append(number)
            if number == 3:
                waiting.set()
            yield number

    ahead = read_ahead(items(), 3)
    assert next(ahead) == 0
    assert waiting.wait(10)
    assert made == [0, 1, 2, 3]  # one is taken, three wait
    ahead.close()
    assert made == [0, 1, 2, 3]


def test_errors_are_raised_where_items_are_taken() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(items(), 3)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_closing_closes_the_items_and_ends_the_thread() -> None:
    closed: list[str] = []

    def items() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread().name)

    ahead = read_ahead(items(), 2)
    next(ahead)
    ahead.close()
    assert closed == ["read-ahead"]
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]
