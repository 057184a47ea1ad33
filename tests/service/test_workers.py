"""Stories of real worker processes: killed, counted over, stopped, and never started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import artifact
from tests.service.published import publish
from tests.service.running import Running, post, refused


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def running(models: Path) -> Iterator[Running]:
    with Running(models, workers=2) as server:
        yield server


def predict(server: Running) -> int:
    """Over a connection of its own: whichever worker takes it."""
    with server.connect() as connection:
        connection.send(post(b'{"inputs": [[1, 2, 3, 4]]}'))
        return connection.answer().status


def told(server: Running, requests: int) -> dict[str, float]:
    """A scrape once every worker told of what it answered, which it does some milliseconds later, and one by one."""
    ends_at = time.monotonic() + 10
    told_of = ("mlp_requests_total /predict 200", "mlp_stage_duration_seconds_count encode")  # the first, the last
    while True:
        found = server.metrics()
        if all(found.get(name) == requests for name in told_of) and found["mlp_requests_in_flight"] == 0:
            return found
        assert time.monotonic() < ends_at, found


def test_a_scrape_of_any_worker_gives_the_whole_and_a_killed_worker_takes_no_counts_with_it(running: Running) -> None:
    """1. 40 requests land on both workers. 2. One is killed and replaced. 3. 40 more are answered; all 80 count."""
    assert [predict(running) for _ in range(40)] == [200] * 40
    before = told(running, 40)
    victim, survivor = running.workers()
    os.kill(victim, signal.SIGKILL)
    assert f"(process {victim}) ended with exit status -9" in running.wait_for("ended with exit status")
    running.wait_for("ready on")
    assert survivor in running.workers()
    assert [predict(running) for _ in range(40)] == [200] * 40
    after = told(running, 80)
    assert after["mlp_request_rows_count"] == 80
    assert sum(value for name, value in after.items() if name.startswith("mlp_predictions_total")) == 80
    assert after["mlp_ready"] == 1
    assert (after["mlp_workers"], after["mlp_worker_starts_total"]) == (2, 3)
    assert after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"] + 0.05, "the dead worker's is lost"
    counters = [name for name in before if name.endswith(("_total", "_count", "_bucket")) and name.startswith("mlp_")]
    assert all(after[name] >= before[name] for name in counters)


def test_sigterm_stops_all_workers_and_leaves_nothing_behind(running: Running) -> None:
    workers = running.workers()
    running.terminate()
    assert running.exit_status() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_workers_do_not_outlive_a_parent_that_is_killed(running: Running) -> None:
    running.kill()
    # the pipe ends when the last of them is gone
    assert sum('"stopped"' in line for line in running.all_said()) == 2


def test_where_no_worker_can_start_the_server_ends(models: Path) -> None:
    (models / "small" / "1" / artifact.MODEL).write_bytes(b"altered")
    assert "is not the file that was published" in refused("--models", str(models), "--workers", "2")


def test_two_servers_cannot_share_a_port(running: Running, models: Path) -> None:
    assert refused("--models", str(models), "--workers", "2", "--port", str(running.port)) == (
        f"cannot listen on 127.0.0.1 port {running.port}: Address already in use; choose another with --host and --port"
    )
