"""A steady load: the pods that the autoscaler keeps, what they cost an hour, and whether a GPU would pay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.capacity.assumptions import Assumptions
from benchmarks.capacity.autoscaler import Settings
from benchmarks.capacity.costs import BODIES, TurnCost, network_us, read, turn_cost
from benchmarks.capacity.manifests import Deployed
from benchmarks.capacity.simulation import Pod

RATES_S: Final = (1e3, 1e4, 1e5, 1e6, 1e7)

Points = list[dict[str, Any]]


def pod(deployed: Deployed, cost: TurnCost, cpus: float, refusal: float = 0.0) -> Pod:
    """A pod of ``deploy/base`` that gets ``cpus`` processors: between its request and its limit."""
    workers = math.ceil(deployed.limit_cpus)
    return Pod(cost, workers, cpus, deployed.request_cpus, deployed.max_queue_s, refusal)


def rate_at(pod: Pod, target: float) -> float:
    """The requests/s of a pod at which it uses ``target`` times its requested CPU, or its capacity."""
    rates_s = np.linspace(0, pod.capacity_s, 20_001)
    used = pod.used_cpus(rates_s) / pod.request_cpus
    return float(np.interp(target, used, rates_s)) if target < used[-1] else pod.capacity_s


def replicas(pod: Pod, settings: Settings, load_s: float) -> int:
    """The fewest pods, but at least the minimum, whose utilisation is at most the target."""
    needed = math.ceil(round(load_s / rate_at(pod, settings.target), 6))
    return max(needed, settings.min_replicas)


def pod_hour(deployed: Deployed, assumptions: Assumptions, *, gpus: int = 0) -> float:
    """USD for a pod and an hour: its requested CPUs, with its share of what a node needs for itself, and GPUs."""
    cpus = deployed.request_cpus / (1 - assumptions.overhead)
    return cpus * assumptions.vcpu_hour + gpus * assumptions.gpu_hour


def at_target(folder: Path, deployed: Deployed) -> Points:
    """What a pod does at the autoscaler's target, and the step in load that it could take without a new pod."""
    bench = read(folder, "bench")
    points = []
    for body, rows in BODIES:
        cost = turn_cost(bench, body, rows)
        room, full = (pod(deployed, cost, cpus) for cpus in (deployed.limit_cpus, deployed.request_cpus))
        rate_s = rate_at(room, deployed.autoscaler.target)
        used_cpus = float(room.used_cpus(np.array([rate_s]))[0])
        point = {"body": body, "rows": rows, "requests/s of a pod": round(rate_s)}
        point |= {
            "µs a request": round(1e6 * used_cpus / rate_s),
            "turn, ms": round(1e3 * cost.turn_s(rate_s / room.workers), 2),
        }
        for each, where in ((full, "full"), (room, "room")):
            point |= {
                f"capacity, {where}": round(each.capacity_s),
                f"step, {where}": f"{each.capacity_s / rate_s:.1f} times",
            }
        points.append(point)
    return points


def money(folder: Path, deployed: Deployed, assumptions: Assumptions) -> Points:
    """Pods and USD an hour for each rate and body; with GPUs, as if the network cost nothing on them."""
    bench = read(folder, "bench")
    points = []
    for load_s in RATES_S:
        point: dict[str, Any] = {"requests/s": round(load_s)}
        for body, rows in BODIES:
            each = pod(deployed, turn_cost(bench, body, rows), deployed.limit_cpus)
            count = replicas(each, deployed.autoscaler, load_s)
            point[f"{body}, {rows} row{'s' * (rows > 1)}"] = _priced(count, pod_hour(deployed, assumptions))
            if rows > 1:
                count = replicas(_on_gpu(folder, deployed, body, rows), deployed.autoscaler, load_s)
                point[f"{body}, {rows} rows, GPU"] = _priced(count, pod_hour(deployed, assumptions, gpus=1))
        points.append(point)
    return points


def _priced(count: int, hour: float) -> str:
    return f"{count:,}: {count * hour:,.2f}" if count * hour < 10 else f"{count:,}: {count * hour:,.0f}"


def _on_gpu(folder: Path, deployed: Deployed, body: str, rows: int) -> Pod:
    """The pod with a GPU that takes all the network's work at once: the most that any GPU could do."""
    spent_us = network_us(read(folder, "breakdown"), read(folder, "stages"), body, rows)
    cost = turn_cost(read(folder, "bench"), body, rows)
    return pod(deployed, TurnCost(cost.fixed_us, cost.each_us - spent_us), deployed.limit_cpus)


def gpus(folder: Path, deployed: Deployed, assumptions: Assumptions) -> Points:
    """USD for a billion requests by saturated pods, and the network's cost from which a GPU would pay."""
    bench, breakdown, stages = (read(folder, tool) for tool in ("bench", "breakdown", "stages"))
    points = []
    for body, rows in BODIES:
        all_us = turn_cost(bench, body, rows).saturated_us
        spent_us = network_us(breakdown, stages, body, rows)
        cpu, gpu = (pod_hour(deployed, assumptions, gpus=count) / 3.6e9 for count in (0, 1))
        pays_us = (all_us - spent_us) * (gpu / cpu - 1)
        point = {"body": body, "rows": rows, "CPU µs a request": round(all_us), "of it the network": round(spent_us)}
        point |= {"on CPUs, USD": round(all_us * cpu * 1e9, 2)}
        point |= {"on GPUs at least, USD": round((all_us - spent_us) * gpu * 1e9, 2)}
        points.append(
            point | {"a GPU pays if the network takes, µs": round(pays_us), "times": f"{pays_us / spent_us:.0f}"}
        )
    return points
