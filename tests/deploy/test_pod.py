"""The pod's command and environment as a real process: probes, metrics, and memory under load."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.deploy.engine import free_port
from tests.deploy.load import Load
from tests.deploy.rendered import SERVING, Document, image_command, mebibytes, pod, server, variables
from tests.service.published import publish
from tests.service.running import PATIENCE_S, environment, post

PERIOD_S = 0.05


@contextmanager
def running(overlay: str, models: Path) -> Iterator[tuple[int, int]]:
    """The process id and port of the pod's command, once its startup probe succeeds.

    Port and models are local, and a pod with a GPU runs on the CPU.
    """
    port = free_port()
    local = {"MLP_PORT": str(port), "MLP_MODELS": str(models), "MLP_PROVIDER": "cpu"}
    command = [sys.executable, *image_command()[1:]]
    process = subprocess.Popen(command, env=environment(**variables(overlay) | local), stderr=subprocess.DEVNULL)
    try:
        ends_at = time.monotonic() + PATIENCE_S
        while probed(port, server(overlay)["startupProbe"]) != 200:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < ends_at, "the startup probe fails"
            time.sleep(PERIOD_S)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def probed(port: int, probe: Document) -> int | None:
    """The status of the response to the probe; None if the connection is refused."""
    assert probe["httpGet"]["port"] == "http"
    try:
        return httpx.get(
            f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=probe["timeoutSeconds"]
        ).status_code
    except httpx.ConnectError:
        return None


@pytest.mark.parametrize("overlay", SERVING)
def test_probes_and_metrics_are_at_the_paths_of_the_manifest(overlay: str, tmp_path: Path) -> None:
    publish(tmp_path)
    container = server(overlay)
    with running(overlay, tmp_path) as (_, port):
        assert [probed(port, container[f"{kind}Probe"]) for kind in ("startup", "readiness", "liveness")] == [200] * 3
        metrics = httpx.get(f"http://127.0.0.1:{port}{pod(overlay)['metadata']['annotations']['prometheus.io/path']}")
        assert f"\nmlp_workers {float(variables(overlay)['MLP_WORKERS'])}\n" in metrics.text


def test_the_memory_limit_is_1_5_times_the_peak_of_the_largest_requests(tmp_path: Path) -> None:
    """16 clients, each with the largest body allowed, of images as the shipped model has."""
    publish(tmp_path, shape=(28, 28), labels=tuple("abcdefghij"))
    most = int(variables("cpu")["MLP_MAX_BODY_BYTES"])
    row = ",".join(
        map(str, np.random.default_rng(0).integers(0, 10, 784))
    )  # one digit each, for the most numbers per body
    body = f'{{"inputs":[{",".join([f"[{row}]"] * (most // (len(row) + 3) - 1))}]}}'.encode()
    assert 0.99 * most < len(body) <= most
    with running("cpu", tmp_path) as (pid, port):
        idle_mib, peak_mib, ended = resident_mib(pid), 0.0, threading.Event()
        with Load(port, post(body)) as load:
            threading.Timer(3.0, ended.set).start()
            while not ended.wait(PERIOD_S):
                peak_mib = max(peak_mib, resident_mib(pid))
    assert not load.lost
    assert {200} <= set(load.answered) <= {200, 429}  # those that would wait too long are rejected
    print(
        f"\n{sum(load.answered.values())} requests of {len(body) / 2**20:.1f} MiB: at most {peak_mib:.0f} MiB of memory"
    )
    print(f"without load: {idle_mib:.0f} MiB")
    assert peak_mib * 1.5 <= mebibytes(server("cpu")["resources"]["limits"]["memory"])


def resident_mib(pid: int) -> float:
    """Memory of the process and its children; shared pages count once, as for a container."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total_kib = 0
    for each in (str(pid), *children):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        total_kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kib / 1024
