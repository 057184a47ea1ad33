"""Stories of real worker processes: killed, counted over, stopped, and never started."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.published import publish

BODY = json.dumps({"inputs": [[1, 2, 3, 4]]})


class Running:
    """A server with two workers, told apart from others by what it logs."""

    def __init__(self, models: Path, *arguments: str) -> None:
        command = [
            sys.executable,
            "-m",
            "service",
            "--models",
            str(models),
            "--port",
            "0",
            "--workers",
            "2",
            *arguments,
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+) ", self.wait_for("ready on"))[1])  # type: ignore[index]
        self.wait_for("ready on")

    def wait_for(self, text: str) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"the server ended without saying {text!r}")

    def predict(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/predict", BODY, {"connection": "close"})
            return connection.getresponse().status
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics", headers={"connection": "close"})
        text = connection.getresponse().read().decode()
        connection.close()
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def running(models: Path) -> Iterator[Running]:
    server = Running(models)
    yield server
    server.process.kill()
    server.process.communicate()


def test_a_scrape_of_any_worker_gives_the_whole_and_a_killed_worker_takes_no_counts_with_it(running: Running) -> None:
    """1. 40 requests land on both workers. 2. One is killed and replaced. 3. 40 more are answered; all 80 count."""
    assert [running.predict() for _ in range(40)] == [200] * 40
    before = running.metrics()
    assert before["mlp_requests_total /predict 200"] == 40
    victim, survivor = running.workers()
    os.kill(victim, signal.SIGKILL)
    assert f"(process {victim}) ended with exit status -9" in running.wait_for("ended with exit status")
    running.wait_for("ready on")
    assert survivor in running.workers()
    assert [running.predict() for _ in range(40)] == [200] * 40
    after = running.metrics()
    assert after["mlp_requests_total /predict 200"] == 80
    assert after["mlp_request_rows_count"] == 80
    assert sum(value for name, value in after.items() if name.startswith("mlp_predictions_total")) == 80
    assert after["mlp_ready"] == 1
    assert after["mlp_requests_in_flight"] == 0
    counters = [name for name in before if name.endswith(("_total", "_count", "_bucket")) and name.startswith("mlp_")]
    assert all(after[name] >= before[name] for name in counters)


def test_sigterm_stops_all_workers_and_leaves_nothing_behind(running: Running) -> None:
    workers = running.workers()
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_workers_do_not_outlive_a_parent_that_is_killed(running: Running) -> None:
    running.process.kill()
    assert running.process.stderr is not None
    assert running.process.stderr.read().count('"stopped"') == 2  # the pipe ends when the last of them is gone


def test_where_no_worker_can_start_the_server_ends(tmp_path: Path) -> None:
    publish(tmp_path)
    (tmp_path / "small" / "1" / "model.onnx").write_bytes(b"altered")
    command = [sys.executable, "-m", "service", "--models", str(tmp_path), "--port", "0", "--workers", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "is not the file that was published" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_two_servers_cannot_share_a_port(running: Running, models: Path) -> None:
    command = [sys.executable, "-m", "service", "--models", str(models), "--port", str(running.port), "--workers", "2"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {running.port}: Address already in use" in second.stderr
