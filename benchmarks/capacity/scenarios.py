"""Loads that change: a five-fold step under many settings, and a daily wave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.capacity.assumptions import Assumptions
from benchmarks.capacity.autoscaler import Direction, Policy
from benchmarks.capacity.costs import read, start_s, turn_cost
from benchmarks.capacity.manifests import Deployed
from benchmarks.capacity.simulation import Cluster, Run, run
from benchmarks.capacity.steady import RATES_S, pod, pod_hour, rate_at, replicas

BEFORE_S: Final = 60.0
AFTER_S: Final = 600.0
FACTOR: Final = 5
DAY_S: Final = 86_400
BODY: Final = ("json", 32)
LOAD_S: Final = 20_000.0
ADVISED_TARGET: Final = 0.5

Points = list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What scenarios share: the folder of results, the manifests, the assumptions, what a refusal costs by body."""

    folder: Path
    deployed: Deployed
    assumptions: Assumptions
    refusal: Mapping[tuple[str, int], float]

    def cluster(self, body: str, rows: int, *, cpus: float, node: bool = False) -> Cluster:
        """The cluster of the manifests, with as many replicas as are needed; pods on new nodes pull their image."""
        assumptions, deployed = self.assumptions, self.deployed
        each = pod(deployed, turn_cost(read(self.folder, "bench"), body, rows), cpus, self.refusal[body, rows])
        starts_s = assumptions.schedule_s + start_s(read(self.folder, "bench")) + deployed.probes_s
        if node:
            starts_s += assumptions.node_start_s + assumptions.image_mb / assumptions.pull_mb_s
        times = (assumptions.sync_s, assumptions.window_s, assumptions.metrics_lag_s)
        return Cluster(
            replace(deployed.autoscaler, max_replicas=10**9), each, starts_s, deployed.connection_age_s, *times
        )


def step(load_s: float, factor: float = FACTOR) -> Callable[[float], float]:
    """``load_s`` requests/s, and ``factor`` times as many after `BEFORE_S`."""
    return lambda now_s: load_s * (factor if now_s >= BEFORE_S else 1)


def wave(mean_s: float) -> Callable[[float], float]:
    """A day's sine from a quarter of the peak at its beginning to the peak at noon."""
    return lambda now_s: mean_s * (1 - 0.6 * math.cos(2 * math.pi * now_s / DAY_S))


def stepped(cluster: Cluster, load_s: float, factor: float = FACTOR) -> Run:
    """The step, from a cluster that is steady under the load before it."""
    before = replicas(cluster.pod, cluster.settings, load_s)
    return run(cluster, step(load_s, factor), before, BEFORE_S + AFTER_S)


def outcome(found: Run) -> dict[str, Any]:
    """What clients saw in the ten minutes from the step on."""
    ends_s = BEFORE_S + AFTER_S
    return {
        "pods": f"{found.replicas[0]:,} → {found.replicas[-1]:,}",
        "refused": f"{found.share('refused', BEFORE_S, ends_s):.2%}",
        "refused until, s": round(max(found.last_s("refused") - BEFORE_S, 0)),
        "slower than 100 ms": f"{found.share('slow', BEFORE_S, ends_s):.2%}",
        "slow until, s": round(max(found.last_s("slow") - BEFORE_S, 0)),
        "longest wait, s": round(max(found.wait_s), 2),
    }


def variants(plan: Plan) -> dict[str, Cluster]:
    """The step's settings by name: ``deploy/base`` on full nodes, and one change at a time."""
    base = plan.cluster(*BODY, cpus=plan.deployed.request_cpus)
    burst = plan.cluster(*BODY, cpus=plan.deployed.limit_cpus)
    node = plan.cluster(*BODY, cpus=plan.deployed.request_cpus, node=True)

    def queue(wait_s: float) -> Cluster:
        return replace(base, pod=replace(base.pod, max_queue_s=wait_s))

    fast = Direction(0, (Policy("Percent", 400, 15),))

    by_requests = rate_at(base.pod, base.settings.target)
    return {
        "deploy/base, nodes full": base,
        "deploy/base, nodes have room": burst,
        "each request balanced": replace(base, age_s=None),
        "connection age 120 s": replace(base, age_s=120.0),
        "connections never closed": replace(base, age_s=0.0),
        "waits of at most 0.05 s": queue(0.05),
        "waits of at most 1 s": queue(1.0),
        "scale up by 400 % in 15 s": replace(base, settings=replace(base.settings, up=fast)),
        "metrics over 60 s": replace(base, window_s=60.0),
        "new nodes, image pulled": node,
        "scaled by requests that came": replace(base, target_rate_s=by_requests),
        "advised, nodes full": advised(base),
        "advised, nodes have room": advised(burst),
    }


def advised(cluster: Cluster) -> Cluster:
    """The cluster with what docs/capacity.md advises for steps of load."""
    return replace(cluster, settings=replace(cluster.settings, target=ADVISED_TARGET))


def steps(plan: Plan) -> Points:
    """The five-fold step from `LOAD_S` under each setting."""
    return [{"settings": name} | outcome(stepped(each, LOAD_S)) for name, each in variants(plan).items()]


def rates(plan: Plan) -> Points:
    """The step to each rate, on full nodes: does size matter?"""
    points = []
    for load_s in RATES_S:
        cluster = plan.cluster(*BODY, cpus=plan.deployed.request_cpus)
        points.append({"to requests/s": round(load_s)} | outcome(stepped(cluster, load_s / FACTOR)))
    return points


def targets(plan: Plan) -> Points:
    """Steps of several heights for several targets of the autoscaler, on full nodes and on nodes with room."""
    deployed, points = plan.deployed, []
    for target in (0.35, ADVISED_TARGET, 0.7, 0.9):
        point: dict[str, Any] = {"target": f"{target:.0%}"}
        for cpus, where in ((deployed.request_cpus, "full"), (deployed.limit_cpus, "room")):
            cluster = plan.cluster(*BODY, cpus=cpus)
            cluster = replace(cluster, settings=replace(cluster.settings, target=target))
            count = replicas(cluster.pod, cluster.settings, LOAD_S)
            point |= {"pods before": count, "USD an hour": f"{count * pod_hour(deployed, plan.assumptions):.2f}"}
            for factor in (2, 3, FACTOR):
                found = stepped(cluster, LOAD_S, factor)
                shares = (found.share(what, BEFORE_S, BEFORE_S + AFTER_S) for what in ("refused", "slow"))
                point[f"{factor} times, {where}"] = " + ".join(f"{share:.1%}" for share in shares)
        points.append(point)
    return points


def days(plan: Plan) -> Points:
    """A day of the wave with mean `LOAD_S`, on full nodes, beside as many pods as the peak needs all day."""
    points = []
    cluster = plan.cluster(*BODY, cpus=plan.deployed.request_cpus)
    for name, each in (("deploy/base", cluster), ("advised", advised(cluster))):
        load = wave(LOAD_S)
        found = run(each, load, replicas(each.pod, each.settings, load(0)), DAY_S)
        hour = pod_hour(plan.deployed, plan.assumptions)
        peak = replicas(each.pod, each.settings, load(DAY_S / 2))
        point = {"settings": name, "pods": f"{min(found.replicas):,} to {max(found.replicas):,}"}
        point |= {"autoscaled, USD a day": f"{sum(found.replicas) * found.step_s / 3600 * hour:.2f}"}
        point |= {"always for the peak, USD": f"{peak * 24 * hour:.2f}"}
        wait = {"refused": f"{found.share('refused', 0, DAY_S):.2%}", "longest wait, s": round(max(found.wait_s), 2)}
        points.append(point | wait)
    return points
