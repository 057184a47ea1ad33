"""What else ends: nodes, proxies, networks, scrapes and image pulls, with the arithmetic."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

from benchmarks import payloads
from benchmarks.capacity.assumptions import Assumptions
from benchmarks.capacity.manifests import Deployed
from benchmarks.capacity.steady import RATES_S

Points = list[dict[str, Any]]


def needs(pods: list[int], deployed: Deployed, assumptions: Assumptions, series: int) -> Points:
    """For each rate of one-row JSON requests and the ``pods`` that it takes: what it needs of everything else."""
    usable = assumptions.node_vcpus * (1 - assumptions.overhead)
    points = []
    for rate_s, count in zip(RATES_S, pods, strict=True):
        nodes = math.ceil(count * deployed.request_cpus / usable)
        connections = rate_s / assumptions.requests_per_connection_s
        # The largest of many Poisson numbers.
        chance = math.sqrt(2 * math.log(count) / (connections / count))
        point: dict[str, Any] = {"requests/s": round(rate_s), "pods": count, "nodes": nodes}
        point |= {"proxy cores": math.ceil(rate_s / assumptions.proxy_core_s)}
        point |= {"bodies, Gbit/s": round(rate_s * body_gbit(), 2), "a node's": round(rate_s * body_gbit() / nodes, 2)}
        point |= {"connections": round(connections), "fullest pod by chance": f"+{chance:.0%}"}
        point |= {"handshakes/s": round(connections / deployed.connection_age_s, 1)}
        point |= {"series": count * series, "samples/s": round(count * series / deployed.scrape_s)}
        pulled_s = nodes * assumptions.image_mb * 8e-3 / assumptions.registry_gbit_s
        points.append(point | {"all nodes pull in, s": round(pulled_s, 1)})
    return points


def most(rate_s: float, deployed: Deployed, assumptions: Assumptions, series: int) -> Points:
    """The requests/s at which each limit is met, if a pod takes ``rate_s``; the lowest first."""
    usable = assumptions.node_vcpus * (1 - assumptions.overhead) / deployed.request_cpus
    pods = {
        f"`maxReplicas` of deploy/base: {deployed.autoscaler.max_replicas}": deployed.autoscaler.max_replicas,
        f"one Prometheus: {assumptions.prometheus_series:,.0f} series / {series} a pod": assumptions.prometheus_series
        / series,
        f"a cluster's nodes: {assumptions.most_nodes:,.0f} of {usable:g} pods": assumptions.most_nodes * usable,
        f"a cluster's pods: {assumptions.most_pods:,.0f}": assumptions.most_pods,
    }
    rates = {f"{name}, each {rate_s:,.0f}/s": count * rate_s for name, count in pods.items()}
    rates[f"a proxy of {assumptions.node_vcpus:g} cores, each {assumptions.proxy_core_s:,.0f}/s"] = (
        assumptions.node_vcpus * assumptions.proxy_core_s
    )
    rates[f"a node's network: {assumptions.node_gbit_s:g} Gbit/s / {body_gbit() * 1e6:.1f} kbit a body"] = (
        assumptions.node_gbit_s / body_gbit()
    )
    ordered = sorted(rates.items(), key=itemgetter(1))
    return [{"limit": name, "requests/s": float(f"{rate:.3g}")} for name, rate in ordered]


def body_gbit() -> float:
    """The size of a JSON row in gigabits."""
    return len(payloads.body("json", 1)) * 8 / 1e9
