"""The gauges of what waits: set as the batchers say, 0 for what is gone, and one number for all workers."""

from __future__ import annotations

import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from service import metrics
from service.heartbeats import Heartbeats
from tests.service.forked import in_a_child
from tests.service.metrics.test_exposition import samples
from tests.service.published import publish
from tests.service.running import Running, post
from tests.service.trapped import GOOD, publish_trapped, slow

SMALL, LARGE = (f"[('lane', '{lane}'), ('model', 'small')]" for lane in ("small", "large"))
KEYS = ("small", "small"), ("small", "large")


def test_they_are_what_waits_now_and_nothing_for_a_model_that_is_gone() -> None:
    counted = metrics.Metrics(CollectorRegistry())
    counted.queues.limits(1000, 1.5)
    counted.queues.set(dict(zip(KEYS, [(3, 0.25), (400, 0.5)], strict=True)), 7)
    found = samples(counted.exposition())
    assert (found[f"mlp_queue_rows {SMALL}"], found[f"mlp_queue_rows {LARGE}"]) == (3, 400)
    assert (found[f"mlp_queue_seconds {SMALL}"], found[f"mlp_queue_seconds {LARGE}"]) == (0.25, 0.5)
    assert (found["mlp_queue_max_rows []"], found["mlp_queue_max_seconds []"]) == (1000, 1.5)
    assert found["mlp_connections []"] == 7
    counted.queues.set({("new", "small"): (1, 0.0)}, 0)
    found = samples(counted.exposition())
    assert (found[f"mlp_queue_rows {LARGE}"], found[f"mlp_queue_seconds {LARGE}"], found["mlp_connections []"]) == (
        0,
        0,
        0,
    )


def fill_two_workers(folder: Path) -> None:
    for index, waiting in enumerate([(3, 0.25), (400, 0.125)]):
        counted = metrics.worker(index, folder, Heartbeats(2))
        counted.queues.limits(1000, 1.5)
        counted.queues.set({KEYS[0]: waiting}, 7)
    found = samples(counted.exposition())
    assert (found[f"mlp_queue_rows {SMALL}"], found[f"mlp_queue_seconds {SMALL}"]) == (403, 0.25)
    assert (found["mlp_queue_max_rows []"], found["mlp_queue_max_seconds []"]) == (2000, 1.5)
    assert found["mlp_connections []"] == 14


def test_rows_and_connections_of_all_workers_are_added_up_and_the_longest_wait_counts(tmp_path: Path) -> None:
    in_a_child(fill_two_workers, tmp_path)


def test_a_server_tells_what_waits_and_who_is_connected(tmp_path: Path) -> None:
    """1. A large request runs for seconds. 2. The next scrape has its rows. 3. Its client is gone, and so is all."""
    publish_trapped(tmp_path)
    with Running(tmp_path, "--max-queue-rows=5000", "--max-queue-s=2") as server:
        idle = [server.connect() for _ in range(3)]
        with server.connect() as busy:
            busy.send(post({"inputs": [slow(2e6)] + [GOOD] * 999}))
            found = until(server, "mlp_queue_rows large small", 1000)
            assert found["mlp_queue_seconds large small"] > 0
            assert (found["mlp_queue_max_rows"], found["mlp_queue_max_seconds"]) == (5000, 2)
            assert found["mlp_connections"] == 5  # the scrape's, too
        for connection in idle:
            connection.close()
        until(server, "mlp_queue_rows large small", 0)
        until(server, "mlp_connections", 1)


def until(server: Running, name: str, value: float) -> dict[str, float]:
    ends_s = time.monotonic() + 30
    while (found := server.metrics())[name] != value:
        assert time.monotonic() < ends_s, found
    return found


def test_connections_of_a_worker_that_answers_nothing_are_counted(tmp_path: Path) -> None:
    """No request follows, so nothing but the connection itself makes the worker tell."""
    publish(tmp_path)
    with Running(tmp_path, workers=2) as server:
        connections = [server.connect() for _ in range(20)]
        until(server, "mlp_connections", 21)
        for connection in connections:
            connection.close()
        until(server, "mlp_connections", 1)
