"""A server with a shadow version: clients get the serving version's answers, whatever the shadow version does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from tests.service.published import Network, publish
from tests.service.running import PATIENCE_S, Running, refused
from tests.service.trapped import BAD, GOOD, _with_traps, replace, slow

ROWS = 8
OPTIONS = ("--shadow", "small@2")


def publish_both(models: Path, *, seed: int = 0, trapped: bool = False) -> Network:
    """Version 1, which is served, and version 2, whose weights are of ``seed``; the network of version 1."""
    network = publish(models)
    other = publish(models, version=2, seed=seed)
    if trapped:
        replace(models / "small" / "2", artifact.MODEL, _with_traps(other.graph()))
    return network


def ask(server: Running, network: Network, row: list[float]) -> None:
    """Send rows, and expect the answer of ``network`` and version 1."""
    inputs = np.tile(np.array(row, np.float32), (ROWS, 1))
    with server.client() as client:
        answer = client.post("/predict", json={"inputs": inputs.tolist()})
    assert answer.status_code == 200
    document = answer.json()
    assert document["version"] == 1
    assert document["probabilities"] == pytest.approx(network.answer(inputs), abs=1e-5)


def until(server: Running, network: Network, row: list[float], name: str) -> dict[str, float]:
    """Send rows until a count of the shadow version rises."""
    ends_s = time.monotonic() + PATIENCE_S
    before = server.metrics().get(name, 0)
    while (found := server.metrics()).get(name, 0) == before:
        assert time.monotonic() < ends_s, found
        ask(server, network, row)
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_network_agrees(tmp_path: Path, workers: int) -> None:
    network = publish_both(tmp_path)
    with Running(tmp_path, *OPTIONS, workers=workers) as server:
        found = until(server, network, GOOD, "mlp_shadow_rows_total small 1 2")
        server.drain()
        assert server.exit_status() == 0
    assert found["mlp_shadow_agreed_rows_total small 1 2"] == found["mlp_shadow_rows_total small 1 2"]
    assert found["mlp_shadow_probability_change_sum small 1 2"] == pytest.approx(0, abs=1e-4)
    assert found["mlp_shadow_run_duration_seconds_count small 2"] > 0


def test_another_network_differs(tmp_path: Path) -> None:
    network = publish_both(tmp_path, seed=5)
    with Running(tmp_path, *OPTIONS) as server:
        found = until(server, network, GOOD, "mlp_shadow_rows_total small 1 2")
    assert found["mlp_shadow_probability_change_sum small 1 2"] > 0.1


def test_a_version_that_fails_on_rows_is_counted(tmp_path: Path) -> None:
    network = publish_both(tmp_path, trapped=True)
    with Running(tmp_path, *OPTIONS) as server:
        found = until(server, network, BAD, "mlp_shadow_failed_rows_total small raised 2")
        failed = found["mlp_shadow_failed_rows_total small raised 2"]
        assert (failed > 0, failed % ROWS) == (True, 0)  # one request, or several between two scrapes
        until(server, network, GOOD, "mlp_shadow_rows_total small 1 2")  # it goes on


def test_a_version_that_hangs_is_counted_and_does_not_delay_the_end(tmp_path: Path) -> None:
    network = publish_both(tmp_path, trapped=True)
    with Running(tmp_path, *OPTIONS) as server:
        ask(server, network, slow(1e15))  # version 2 never ends
        found = until(server, network, GOOD, "mlp_shadow_failed_rows_total small hung 2")
        assert found["mlp_shadow_failed_rows_total small hung 2"] == ROWS
        assert found["mlp_shadow_skipped_rows_total small 2"] > 0
        began_s = time.monotonic()
        server.drain()
        assert server.exit_status() == 0
        assert time.monotonic() - began_s < 10


def test_a_run_that_would_never_end_is_ended_at_shutdown(tmp_path: Path) -> None:
    network = publish_both(tmp_path, trapped=True)
    with Running(tmp_path, *OPTIONS) as server:
        ask(server, network, slow(1e15))
        server.drain()
        assert server.exit_status() == 0


def test_a_version_that_cannot_be_compared_is_refused_at_start(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, version=2, labels=("ape", "bee", "dog"))
    assert refused("--models", str(tmp_path), *OPTIONS) == (
        "--shadow (MLP_SHADOW): small@2 cannot be compared with the version that is served, as its 'classes' is "
        "('ape', 'bee', 'dog'), and ('ape', 'bee', 'cat') in version 1; choose a version with the same features and "
        "labels"
    )
