"""Kubernetes' HorizontalPodAutoscaler (autoscaling/v2) on a utilisation, as its documentation describes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Policy:
    """At most ``value`` pods, or per cent of the pods, more or fewer within ``period_s``."""

    kind: Literal["Percent", "Pods"]
    value: float
    period_s: float


@dataclass(frozen=True)
class Direction:
    """One direction: the window whose mildest recommendation counts, and policies, of which any may allow a change."""

    window_s: float
    policies: tuple[Policy, ...]


@dataclass(frozen=True)
class Settings:
    """``target`` is the utilisation as a share of the pods' requests, ``tolerance`` what is no reason to scale."""

    target: float
    min_replicas: int
    max_replicas: int
    up: Direction
    down: Direction
    tolerance: float = 0.1

    @classmethod
    def of(cls, manifest: dict[str, Any], tolerance: float = 0.1) -> Settings:
        """The settings of a HorizontalPodAutoscaler with one metric, the utilisation of CPU."""
        spec = manifest["spec"]
        (metric,) = spec["metrics"]
        target = metric["resource"]["target"]["averageUtilization"] / 100
        up, down = (_direction(spec["behavior"][name]) for name in ("scaleUp", "scaleDown"))
        return cls(target, spec["minReplicas"], spec["maxReplicas"], up, down, tolerance)


def _direction(behavior: dict[str, Any]) -> Direction:
    policies = tuple(Policy(each["type"], each["value"], each["periodSeconds"]) for each in behavior["policies"])
    return Direction(behavior["stabilizationWindowSeconds"], policies)


class Autoscaler:
    """The controller of one Deployment. It remembers its recommendations and its changes."""

    def __init__(self, settings: Settings, replicas: int) -> None:
        self._settings = settings
        self._recommended = [(0.0, replicas)]
        self._changes: list[tuple[float, int]] = []

    def replicas(self, now_s: float, current: int, used: Sequence[float]) -> int:
        """The replicas from ``now_s`` on: ``used`` has the utilisation of each pod that is ready and was measured."""
        settings = self._settings
        self._recommended.append((now_s, desired(settings.target, settings.tolerance, current, used)))
        wanted = self._stabilized(now_s, current)
        bounded = min(max(wanted, settings.min_replicas), settings.max_replicas)
        if bounded > current:
            bounded = min(bounded, max(current, self._limit(settings.up, now_s, current, up=True)))
        elif bounded < current:
            bounded = max(bounded, min(current, self._limit(settings.down, now_s, current, up=False)))
        if bounded != current:
            self._changes.append((now_s, bounded - current))
        return bounded

    def _stabilized(self, now_s: float, current: int) -> int:
        """At most the lowest recommendation of the upward window, at least the highest of the downward one."""
        settings = self._settings
        lowest = min(self._within(now_s, settings.up.window_s))
        highest = max(self._within(now_s, settings.down.window_s))
        return lowest if current < lowest else min(current, highest)

    def _within(self, now_s: float, window_s: float) -> list[int]:
        latest = self._recommended[-1][1]
        return [count for at_s, count in self._recommended if at_s > now_s - window_s] or [latest]

    def _limit(self, direction: Direction, now_s: float, current: int, *, up: bool) -> int:
        """The replicas that the policy which allows the most change permits now."""
        most: Callable[[Sequence[int]], int] = max if up else min
        return most([self._permitted(policy, now_s, current, up=up) for policy in direction.policies])

    def _permitted(self, policy: Policy, now_s: float, current: int, *, up: bool) -> int:
        changed = [change for at_s, change in self._changes if at_s > now_s - policy.period_s and (change > 0) == up]
        before, sign = current - sum(changed), 1 if up else -1
        if policy.kind == "Pods":
            return int(before + sign * policy.value)
        share = before * (100 + sign * policy.value) / 100
        return math.ceil(share) if up else math.floor(share)


def desired(target: float, tolerance: float, current: int, used: Sequence[float]) -> int:
    """``ceil(current * mean / target)``, or ``current`` if the ratio is within ``tolerance`` of 1.

    Pods that are not ready, or were not measured yet, count as idle when scaling up and as at the target when scaling
    down. They can prevent a change, but not reverse it.
    """
    if not used:
        return current
    ratio = sum(used) / len(used) / target
    unmeasured = current - len(used)
    if unmeasured > 0:
        assumed = 0.0 if ratio > 1 else target
        corrected = (sum(used) + unmeasured * assumed) / current / target
        if (corrected > 1) != (ratio > 1):
            return current
        ratio = corrected
    # Without the rounding, 7 pods at exactly their target could become 8.
    return current if abs(ratio - 1) <= tolerance + 1e-9 else math.ceil(round(current * ratio, 9))
