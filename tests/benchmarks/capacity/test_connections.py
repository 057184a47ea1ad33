"""Connections move to new pods at their age, and all of the load is always somewhere."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.capacity.connections import Balanced, Connections

OLD = np.array([True, True, False, False])
ALL = np.ones(4, dtype=bool)


def after(connections: Connections, steps: int) -> list[float]:
    shares = connections.shares(OLD)
    for _ in range(steps):
        shares = connections.shares(ALL)
    return [float(share) for share in shares]


def test_balanced_requests_use_new_pods_at_once() -> None:
    assert Balanced().shares(ALL).tolist() == [0.25] * 4
    assert Balanced().shares(OLD).tolist() == [0.5, 0.5, 0, 0]


@pytest.mark.parametrize(("steps", "moved"), [(30, 0.25), (60, 0.5), (120, 1), (500, 1)])
def test_new_pods_get_their_share_within_the_age(steps: int, moved: float) -> None:
    new = 0.25 * moved
    assert after(Connections(120, 1), steps) == pytest.approx([0.5 - new, 0.5 - new, new, new])


def test_connections_that_are_never_closed_stay() -> None:
    assert after(Connections(0, 1), 1000) == [0.5, 0.5, 0, 0]


def test_connections_of_an_ended_pod_are_opened_again() -> None:
    connections = Connections(0, 1)
    connections.shares(ALL)
    assert connections.shares(ALL[:3]).tolist() == pytest.approx([1 / 3] * 3)
