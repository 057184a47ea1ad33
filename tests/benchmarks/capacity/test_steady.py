"""Pods and money of a steady load, from costs that are given."""

from __future__ import annotations

import math

import pytest

from benchmarks.capacity import manifests, steady
from benchmarks.capacity.assumptions import Assumptions
from benchmarks.capacity.costs import TurnCost

BASE = manifests.base()
LINEAR = TurnCost(0, 500)


def test_the_manifests_are_read() -> None:
    assert (BASE.request_cpus, BASE.limit_cpus, BASE.scrape_s) == (1, 2, 15)
    assert (BASE.autoscaler.target, BASE.autoscaler.down.window_s) == (0.7, 300)
    assert BASE.autoscaler.up.policies[0].kind == "Percent"
    assert (BASE.connection_age_s, BASE.probes_s) == (30, 1.5)
    assert BASE.max_queue_s == 0.2


def test_a_pod_at_its_target_uses_that_share_of_its_request() -> None:
    pod = steady.pod(BASE, LINEAR, cpus=2)
    assert (pod.workers, pod.capacity_s) == (2, 4000)
    assert steady.rate_at(pod, 0.7) == pytest.approx(1400)
    assert steady.rate_at(pod, 5) == 4000


@pytest.mark.parametrize("load_s", [1, 1400, 1401, 1e6])
def test_replicas_are_load_over_rate_rounded_up(load_s: float) -> None:
    pod = steady.pod(BASE, LINEAR, cpus=2)
    assert steady.replicas(pod, BASE.autoscaler, load_s) == max(math.ceil(load_s / 1400), 2)


def test_a_pod_costs_its_requests_and_its_part_of_the_node() -> None:
    assumed = Assumptions(vcpu_hour=0.09, gpu_hour=1.0, overhead=0.1)
    assert steady.pod_hour(BASE, assumed) == pytest.approx(0.1)
    assert steady.pod_hour(BASE, assumed, gpus=1) == pytest.approx(1.1)
