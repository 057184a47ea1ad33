"""Limits on the size of bodies, and the memory budget that bodies share."""

from __future__ import annotations

import pytest

from service.errors import BodyTooLarge, Overloaded
from service.http.limits import BodyBudget, BodyCounter, Limits
from tests.service.errors import error_message

LIMITS = Limits(max_body_bytes=8, receive_timeout_s=0.5, max_rows=10)
TOO_LARGE = "the body has more than 8 bytes; send fewer rows at once"


def test_the_budget_rejects_what_exceeds_it_until_bytes_are_released() -> None:
    budget = BodyBudget(max_bytes=10)
    budget.acquire(6)
    budget.acquire(4)
    with pytest.raises(Overloaded) as caught:
        budget.acquire(1)
    assert str(caught.value) == (
        "request buffer full: 10 + 1 bytes exceeds 10; send fewer large requests at once, or add replicas"
    )
    assert caught.value.retry_after_s == 1.0
    budget.release(6)
    budget.acquire(6)
    assert budget.buffered_bytes == 10


def test_a_body_is_counted_until_it_is_released() -> None:
    budget = BodyBudget(max_bytes=10)
    counter = BodyCounter(LIMITS, budget)
    counter.add(3)
    counter.add(5)
    assert (counter.received_bytes, budget.buffered_bytes) == (8, 8)
    counter.release()
    counter.release()
    assert (counter.received_bytes, budget.buffered_bytes) == (0, 0)


def test_a_body_above_the_limit_is_rejected_and_not_counted() -> None:
    budget = BodyBudget(max_bytes=10)
    counter = BodyCounter(LIMITS, budget)
    counter.add(8)
    assert error_message(BodyTooLarge, counter.add, 1) == TOO_LARGE
    assert budget.buffered_bytes == 8


def test_a_declared_body_above_the_limit_is_rejected() -> None:
    LIMITS.check_declared(8)
    assert error_message(BodyTooLarge, LIMITS.check_declared, 9) == TOO_LARGE


def test_a_body_of_one_byte_chunks_fits_on_the_wire() -> None:
    chunks = b"1\r\na\r\n" * LIMITS.max_body_bytes
    assert len(chunks) <= LIMITS.max_request_bytes - LIMITS.max_head_bytes
