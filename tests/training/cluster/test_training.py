"""Training on a local Ray cluster against one process; a worker that is killed; Ctrl-C."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests import ray_environment

pytestmark = pytest.mark.ray
_MARK = "RAY_TEST_MARK"
_TOLERANCE = 1e-5  # float32 sums in another order, over 80 steps of Adam


def test_four_workers_train_the_network_of_one_process() -> None:
    found = ray_environment.run("train", "4", "0")
    assert found["difference"] < _TOLERANCE
    assert found["losses"] < _TOLERANCE
    assert [epoch["number"] for epoch in found["reported"]] == list(range(1, 11))
    assert found["left"] == 0


def test_training_goes_on_after_a_worker_was_killed() -> None:
    found = ray_environment.run("train", "2", "3")
    assert found["killed"] == 1
    assert found["difference"] < _TOLERANCE
    # Epochs that were trained again would have taken another time.
    assert found["history"][:3] == found["reported"][:3]
    assert [epoch["number"] for epoch in found["history"]] == list(range(1, 11))


def test_an_interrupt_ends_the_cluster_and_publishes_nothing(tmp_path: Path) -> None:
    command = [ray_environment.python(), "-m", "training", "iris", "--epochs", "100000", "--hidden", "4"]
    options = ["--models", tmp_path / "models", "--ray", "local", "--ray-logs"]
    run = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {_MARK: str(tmp_path), "PYTHONWARNINGS": "default"},
        start_new_session=True,
    )
    try:
        assert run.stdout is not None
        for line in run.stdout:
            if "Started training worker group" in line:
                break
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        rest = run.communicate()[0]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 130
    assert "mlp-train: interrupted; nothing was published\n" in rest
    assert not list((tmp_path / "models").iterdir())
    for process in _marked(tmp_path):
        assert select.select([process], [], [], 60)[0], "a process of the cluster goes on"
        os.close(process)


def _marked(value: Path) -> list[int]:
    """Descriptors of the processes that were started with ``value`` in their environment; readable once they end."""
    mark, found = f"{_MARK}={value}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                found.append(os.pidfd_open(int(path.parent.name)))
    return found
