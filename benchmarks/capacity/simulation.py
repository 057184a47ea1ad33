"""A fluid simulation of clients, pods with bounded queues, and an autoscaler, in steps of a second or less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.capacity.autoscaler import Autoscaler, Settings
from benchmarks.capacity.connections import Balanced, Connections, Flags
from benchmarks.capacity.costs import Floats, TurnCost

# The service's objective for a prediction, in deploy/components/monitoring/rules.yaml.
SLOW_S: Final = 0.1


@dataclass(frozen=True)
class Pod:
    """``workers`` share ``cpus`` processors; the autoscaler compares what they use with ``request_cpus``.

    A request that would wait longer than ``max_queue_s`` is refused, which takes ``refusal`` times the processor time
    of an answer.
    """

    cost: TurnCost
    workers: int
    cpus: float
    request_cpus: float
    max_queue_s: float
    refusal: float = 0.0

    @property
    def capacity_s(self) -> float:
        """Requests that the pod can answer in a second."""
        return self.cpus * self.cost.capacity_s

    def used_cpus(self, offered_s: Floats) -> Floats:
        """Processors that pods use which are offered so many requests a second."""
        slower = self.cost.scaled(self.workers / self.cpus)
        return self.cpus * slower.busy(offered_s / self.workers)


@dataclass(frozen=True)
class Cluster:
    """What surrounds the pods; times in seconds. ``age_s`` is 0 for connections that stay, None for none to stay.

    The autoscaler compares CPU with its target, or with ``target_rate_s`` the requests/s that came, refused ones too.
    """

    settings: Settings
    pod: Pod
    start_s: float
    age_s: float | None = None
    sync_s: float = 15.0
    window_s: float = 15.0
    metrics_lag_s: float = 0.0
    target_rate_s: float | None = None


@dataclass
class Run:
    """What happened in each step of ``step_s`` seconds; rates in requests/s, ``wait_s`` that of the fullest pod."""

    step_s: float
    offered: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)
    wait_s: list[float] = field(default_factory=list)
    replicas: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)

    def record(
        self, offered: Floats, served: Floats, refused: Floats, waits_s: Floats, left: Floats, ready: int
    ) -> None:
        """Append a step: a value for each pod, ``served`` and ``refused`` in requests, ``left`` those still queued."""
        self.offered.append(float(offered.sum()))
        self.served.append(float(served.sum()) / self.step_s)
        self.refused.append(float(refused.sum()) / self.step_s)
        self.slow.append(float(served[waits_s > SLOW_S + 1e-9].sum()) / self.step_s)
        self.queued.append(float(left.sum()))
        self.wait_s.append(float(waits_s.max()))
        self.replicas.append(len(left))
        self.ready.append(ready)

    def share(self, what: str, from_s: float, to_s: float) -> float:
        """``refused`` or ``slow`` as a share of what was offered in this span."""
        span = slice(round(from_s / self.step_s), round(to_s / self.step_s))
        found: list[float] = getattr(self, what)
        return sum(found[span]) / max(sum(self.offered[span]), 1e-9)

    def last_s(self, what: str) -> float:
        """The end of the last step in which more than 0.1 % of the offered were ``refused`` or ``slow``, or 0."""
        over = np.asarray(getattr(self, what)) > 1e-3 * np.asarray(self.offered)
        return float((np.flatnonzero(over)[-1] + 1) * self.step_s) if over.any() else 0.0


class _Pods:
    """The pods, oldest first: when each is ready, its queue in requests, and the processor time it has used."""

    def __init__(self, cluster: Cluster, count: int, step_s: float) -> None:
        self.ready_at_s = np.full(count, -np.inf)
        self.queue = np.zeros(count)
        self.spent_s = [np.zeros(count)]
        self._cluster, self._step_s = cluster, step_s

    def __len__(self) -> int:
        return len(self.queue)

    def resize(self, count: int, now_s: float) -> None:
        """Start pods, or end the youngest."""
        more = max(count - len(self), 0)
        self.ready_at_s = np.append(self.ready_at_s, np.full(more, now_s + self._cluster.start_s))[:count]
        self.queue = np.append(self.queue, np.zeros(more))[:count]

    def serve(self, offered_s: Floats) -> tuple[Floats, Floats]:
        """What was served and refused in a step, in requests, of ``offered_s`` requests a second and pod."""
        pod, step_s = self._cluster.pod, self._step_s
        able, room = pod.capacity_s * step_s, pod.capacity_s * pod.max_queue_s
        waiting = self.queue + offered_s * step_s
        over = np.maximum(waiting - able - room, 0.0)
        refused = np.minimum(over / (1 - pod.refusal), np.minimum(offered_s * step_s, able / max(pod.refusal, 1e-9)))
        served = np.minimum(waiting - refused, able - refused * pod.refusal)
        self.queue = np.clip(waiting - refused - served, 0.0, room)
        self._spend(self._metric(offered_s, waiting >= able) * step_s)
        return served, waiting - served - self.queue

    def _metric(self, offered_s: Floats, full: Flags) -> Floats:
        """What the autoscaler sees, in requested CPUs."""
        pod, rate_s = self._cluster.pod, self._cluster.target_rate_s
        if rate_s is not None:
            return offered_s / rate_s * self._cluster.settings.target * pod.request_cpus
        return np.where(full, pod.cpus, pod.used_cpus(offered_s))

    def _spend(self, spent_s: Floats) -> None:
        before = self.spent_s[-1]
        total = np.zeros(len(spent_s))
        total[: len(before)] = before[: len(total)]
        self.spent_s.append(total + spent_s)

    def utilisation(self, now_s: float) -> Floats:
        """Of the pods measured in the newest window that can be read at ``now_s``, as a share of their requests."""
        window_s = self._cluster.window_s
        ends_s = np.floor((now_s - self._cluster.metrics_lag_s) / window_s) * window_s
        begins_s = ends_s - window_s
        if begins_s < 0:
            return np.zeros(0)
        first, last = (self.spent_s[round(at_s / self._step_s)] for at_s in (begins_s, ends_s))
        measured = np.flatnonzero(self.ready_at_s[: len(first)] <= begins_s)
        measured = measured[measured < len(last)]
        used: Floats = (last[measured] - first[measured]) / window_s / self._cluster.pod.request_cpus
        return used


def run(cluster: Cluster, load: Callable[[float], float], replicas: int, ends_s: float, step_s: float = 1.0) -> Run:
    """Simulate ``load``, in requests/s at a time in seconds, from a cluster of ``replicas`` that are all ready."""
    found, pods = Run(step_s), _Pods(cluster, replicas, step_s)
    controller = Autoscaler(cluster.settings, replicas)
    spread = Balanced() if cluster.age_s is None else Connections(cluster.age_s, step_s)
    sync_steps = max(round(cluster.sync_s / step_s), 1)
    for step in range(round(ends_s / step_s)):
        now_s = step * step_s
        if step % sync_steps == 0:
            used = pods.utilisation(now_s)
            pods.resize(controller.replicas(now_s, len(pods), used.tolist()) if len(used) else len(pods), now_s)
        ready = pods.ready_at_s <= now_s
        offered = load(now_s) * spread.shares(ready)
        waits_s = pods.queue / cluster.pod.capacity_s
        served, refused = pods.serve(offered)
        found.record(offered, served, refused, waits_s, pods.queue, int(ready.sum()))
    return found
