"""The autoscaler computes what Kubernetes' documentation says, on examples worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity.autoscaler import Autoscaler, Direction, Policy, Settings, desired

ANY = Direction(0, (Policy("Percent", 900, 15),))
SLOW = Direction(300, (Policy("Pods", 1, 60),))


def settings(*, up: Direction = ANY, down: Direction = SLOW, target: float = 0.5) -> Settings:
    return Settings(target, 1, 100, up, down)


@pytest.mark.parametrize(
    ("current", "used", "target", "expected"),
    [
        (50, 0.90, 0.75, 60),  # the example of the announcement of configurable tolerance
        (3, 200, 100, 6),  # twice the target doubles the replicas
        (4, 50, 100, 2),  # half the target halves them
        (10, 0.77, 0.7, 10),  # a ratio of 1.1 is within the tolerance
        (10, 0.78, 0.7, 12),  # 11.14, rounded up
        (7, 0.7, 0.7, 7),
    ],
)
def test_the_ratio_of_the_metric_to_its_target_scales(current: int, used: float, target: float, expected: int) -> None:
    assert desired(target, 0.1, current, [used] * current) == expected


def test_unmeasured_pods_count_as_idle_when_scaling_up() -> None:
    # Two pods at 200 %, two that were just started: 2 * 200 / 4 is twice the target, not four times.
    assert desired(0.5, 0.1, 4, [1.0, 1.0]) == 4
    assert desired(0.5, 0.1, 4, [2.0, 2.0]) == 8


def test_unmeasured_pods_count_as_at_the_target_when_scaling_down() -> None:
    assert desired(0.5, 0.1, 4, [0.25, 0.25]) == 3


def test_unmeasured_pods_never_turn_the_direction() -> None:
    assert desired(0.5, 0.1, 10, [0.6]) == 10


def test_the_policy_that_allows_most_counts() -> None:
    # The documentation's example: from 80 to 10 by four pods or 10 % a minute. 10 % of 72 = 7.2 is rounded up to 8.
    down = Direction(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)))
    scaler, current, seen = Autoscaler(settings(down=down), 80), 80, []
    for minute in range(1, 14):
        current = scaler.replicas(60.0 * minute, current, [0.5 * 10 / current] * current)
        seen.append(current)
    assert seen == [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12]


def test_a_policy_bounds_the_change_within_its_period() -> None:
    doubling = Direction(0, (Policy("Percent", 100, 15),))
    scaler = Autoscaler(replace(settings(up=doubling), max_replicas=10), 2)
    assert scaler.replicas(15, 2, [5.0] * 2) == 4
    assert scaler.replicas(20, 4, [5.0] * 4) == 4
    assert scaler.replicas(30, 4, [5.0] * 4) == 8
    assert scaler.replicas(45, 8, [5.0] * 8) == 10


def test_scaling_down_waits_for_the_highest_recommendation_to_leave_the_window() -> None:
    scaler, current = Autoscaler(settings(down=Direction(300, (Policy("Percent", 100, 15),))), 4), 4
    current = scaler.replicas(15, current, [1.0] * 4)
    assert current == 8
    seen = {now_s: scaler.replicas(now_s, current, [0.25] * 8) for now_s in range(30, 330, 15)}
    assert (seen[300], seen[315]) == (8, 4)


def test_scaling_up_waits_for_the_lowest_recommendation_to_leave_the_window() -> None:
    scaler = Autoscaler(settings(up=replace(ANY, window_s=60)), 2)
    seen = [scaler.replicas(now_s, 2, [1.0, 1.0]) for now_s in (15, 30, 45, 60)]
    assert seen == [2, 2, 2, 4]


def test_replicas_stay_between_their_bounds() -> None:
    scaler = Autoscaler(replace(settings(down=Direction(0, SLOW.policies)), min_replicas=2, max_replicas=3), 2)
    assert scaler.replicas(15, 2, [0.0, 0.0]) == 2
    assert scaler.replicas(30, 2, [5.0, 5.0]) == 3
