"""The count of what is held of bodies."""

from __future__ import annotations

import pytest

from service.errors import Overloaded
from service.http.limits import BodyBudget


def test_what_is_let_go_makes_room_again() -> None:
    bodies = BodyBudget(max_bytes=10)
    bodies.acquire(6)
    bodies.acquire(4)
    with pytest.raises(Overloaded) as refused:
        bodies.acquire(1)
    assert str(refused.value) == (
        "10 bytes of bodies wait to be whole, and 1 more would exceed 10; send fewer large requests at once, or add "
        "replicas"
    )
    assert refused.value.retry_after_s == 1.0
    bodies.release(6)
    bodies.acquire(6)
    assert bodies.held_bytes == 10
