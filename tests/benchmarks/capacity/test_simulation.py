"""The simulation against closed forms: pods at rest, what is refused, how a queue fills and drains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.capacity.autoscaler import Direction, Policy, Settings
from benchmarks.capacity.costs import TurnCost
from benchmarks.capacity.simulation import Cluster, Pod, _Pods, run

# 1,000 requests/s.
POD = Pod(TurnCost(0, 1000), workers=1, cpus=1, request_cpus=1, max_queue_s=1)
ANY = Direction(0, (Policy("Percent", 900, 15),))
SETTINGS = Settings(0.7, 1, 1000, ANY, replace(ANY, window_s=300))
FIXED = replace(SETTINGS, max_replicas=1)


def constant(load_s: float) -> Callable[[float], float]:
    return lambda _: load_s


@pytest.mark.parametrize("load_s", [100, 5000, 12_345])
def test_pods_at_rest_are_load_over_capacity_times_target(load_s: float) -> None:
    found = run(Cluster(SETTINGS, POD, start_s=5), constant(load_s), 1, 600)
    exact = load_s / (POD.capacity_s * SETTINGS.target)
    assert math.ceil(exact / 1.1) <= found.replicas[-1] <= math.ceil(exact)
    assert found.refused[-1] == 0
    without_tolerance = Cluster(replace(SETTINGS, tolerance=0), POD, start_s=5)
    assert run(without_tolerance, constant(load_s), 1, 600).replicas[-1] == math.ceil(exact)


def test_a_full_pod_refuses_what_it_cannot_answer() -> None:
    found = run(Cluster(FIXED, POD, 0), constant(1500), 1, 60)
    assert (found.served[-1], found.refused[-1]) == pytest.approx((1000, 500))


def test_refusals_take_time_from_answers() -> None:
    # Per second: answers + 0.4 refusals = 1,000 and answers + refusals = 1,300.
    found = run(Cluster(FIXED, replace(POD, refusal=0.4), 0), constant(1300), 1, 60)
    assert (found.served[-1], found.refused[-1]) == pytest.approx((800, 500))


def test_a_pod_that_only_refuses_answers_nothing() -> None:
    found = run(Cluster(FIXED, replace(POD, refusal=0.5), 0), constant(4000), 1, 60)
    assert (found.served[-1], found.refused[-1]) == pytest.approx((0, 4000))


def test_the_queue_obeys_littles_law_and_nothing_is_lost() -> None:
    found = run(Cluster(FIXED, POD, 0), constant(1200), 1, 30, step_s=0.1)
    # Waiting requests = answered a second, times their wait.
    assert found.queued[-1] == pytest.approx(found.served[-1] * found.wait_s[-1])
    assert found.wait_s[-1] == pytest.approx(POD.max_queue_s)
    assert 0.1 * sum(found.offered) == pytest.approx(
        0.1 * sum(found.served) + 0.1 * sum(found.refused) + found.queued[-1]
    )


def test_a_queue_drains_at_capacity_less_load() -> None:
    def load(now_s: float) -> float:
        return 1500 if now_s < 10 else 600

    found = run(Cluster(FIXED, POD, 0), load, 1, 30, step_s=0.01)
    empty_s = 0.01 * np.flatnonzero(np.array(found.queued) > 0)[-1]
    assert empty_s - 10 == pytest.approx(1000 / (1000 - 600), abs=0.03)
    assert found.last_s("refused") == pytest.approx(10, abs=0.03)


def test_shorter_steps_give_the_same_result() -> None:
    def load(now_s: float) -> float:
        return 50_000 if now_s < 60 else 250_000

    cluster = Cluster(SETTINGS, replace(POD, refusal=0.2), start_s=7, age_s=60, metrics_lag_s=10)
    coarse, fine = (run(cluster, load, 72, 600, step_s) for step_s in (1.0, 0.25))
    assert coarse.share("refused", 60, 600) == pytest.approx(fine.share("refused", 60, 600), rel=0.03)


def test_new_pods_are_ready_after_their_start() -> None:
    found = run(Cluster(SETTINGS, POD, start_s=20), constant(2000), 1, 60)
    grown = next(step for step, count in enumerate(found.replicas) if count > 1)
    ready = next(step for step, count in enumerate(found.ready) if count > 1)
    assert (grown, ready - grown) == (15, 20)


def test_the_autoscaler_sees_the_last_window_that_can_be_read() -> None:
    grown = {}
    for lag_s in (0, 10):
        found = run(Cluster(SETTINGS, POD, 0, metrics_lag_s=lag_s), constant(2000), 1, 60)
        grown[lag_s] = next(step for step, count in enumerate(found.replicas) if count > 1)
    assert grown == {0: 15, 10: 30}


def test_a_pod_is_measured_from_its_first_whole_window_on_and_busy_until_its_queue_is_empty() -> None:
    pods = _Pods(Cluster(FIXED, replace(POD, max_queue_s=60), start_s=10), 1, 1.0)
    for second in range(30):
        if second == 7:
            pods.resize(2, second)
        pods.serve(np.array([2000.0 if second < 15 else 0.0, 100.0])[: len(pods)])
    # From 15 s to 30 s nothing came to the first pod; the second was ready after 17 s.
    assert pods.utilisation(30).tolist() == pytest.approx([1.0])


def test_an_autoscaler_of_requests_is_not_blind_above_capacity() -> None:
    by_cpu, by_requests = (
        run(Cluster(SETTINGS, POD, 0, target_rate_s=rate_s), constant(10_000), 1, 40) for rate_s in (None, 700.0)
    )
    # CPU ends at 1 / 0.7 of the target; the requests that came are 10,000 / 700 of it.
    assert by_cpu.replicas[16] == 2
    assert by_requests.replicas[16] == 10  # the policy's 900 %


def test_a_pod_with_half_a_processor_for_each_worker_has_half_the_capacity() -> None:
    pod = Pod(TurnCost(100, 50), workers=2, cpus=1, request_cpus=1, max_queue_s=1)
    room = replace(pod, cpus=2)
    assert 2 * pod.capacity_s == pytest.approx(room.capacity_s)
    assert pod.used_cpus(np.array([pod.capacity_s]))[0] == pytest.approx(1)
    assert room.used_cpus(np.array([room.capacity_s]))[0] == pytest.approx(2)
