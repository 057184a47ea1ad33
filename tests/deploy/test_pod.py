"""The pod's own environment and command as a real process: its probes, its metrics, its memory under load."""

from __future__ import annotations

import socket
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

from tests.deploy.load import Load
from tests.deploy.rendered import SERVING, Document, image_command, mebibytes, pod, server, variables
from tests.service.published import publish
from tests.service.running import PATIENCE_S, environment, post

PERIOD_S = 0.05


@contextmanager
def running(overlay: str, models: Path) -> Iterator[tuple[int, int]]:
    """The process id and the port of what the pod runs, once its startup probe is answered.

    The port and the models are this machine's, not the container's; where the pod has a GPU, the CPU has to do.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"MLP_PORT": str(port), "MLP_MODELS": str(models), "MLP_PROVIDER": "cpu"}
    command = [sys.executable, *image_command()[1:]]
    process = subprocess.Popen(command, env=environment(**variables(overlay) | own), stderr=subprocess.DEVNULL)
    try:
        ends_at = time.monotonic() + PATIENCE_S
        while probed(port, server(overlay)["startupProbe"]) != 200:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < ends_at, "the startup probe is not answered"
            time.sleep(PERIOD_S)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def probed(port: int, probe: Document) -> int | None:
    """The status that the probe gets, None where nobody listens."""
    assert probe["httpGet"]["port"] == "http"
    try:
        return httpx.get(
            f"http://127.0.0.1:{port}{probe['httpGet']['path']}", timeout=probe["timeoutSeconds"]
        ).status_code
    except httpx.ConnectError:
        return None


@pytest.mark.parametrize("overlay", SERVING)
def test_every_probe_and_the_scrape_are_answered_where_the_manifest_asks(overlay: str, tmp_path: Path) -> None:
    publish(tmp_path)
    container = server(overlay)
    with running(overlay, tmp_path) as (_, port):
        assert [probed(port, container[f"{kind}Probe"]) for kind in ("startup", "readiness", "liveness")] == [200] * 3
        metrics = httpx.get(f"http://127.0.0.1:{port}{pod(overlay)['metadata']['annotations']['prometheus.io/path']}")
        assert f"\nmlp_workers {float(variables(overlay)['MLP_WORKERS'])}\n" in metrics.text


def test_the_memory_limit_is_half_as_much_again_as_the_largest_requests_take(tmp_path: Path) -> None:
    """16 clients at once, each with the largest body that is taken, of the images that the shipped model takes."""
    publish(tmp_path, shape=(28, 28), labels=tuple("abcdefghij"))
    most = int(variables("cpu")["MLP_MAX_BODY_BYTES"])
    row = ",".join(map(str, np.random.default_rng(0).integers(0, 10, 784)))  # the most numbers a body has room for
    body = f'{{"inputs":[{",".join([f"[{row}]"] * (most // (len(row) + 3) - 1))}]}}'.encode()
    assert 0.99 * most < len(body) <= most
    with running("cpu", tmp_path) as (pid, port):
        idle_mib, peak_mib, ended = resident_mib(pid), 0.0, threading.Event()
        with Load(port, post(body)) as load:
            threading.Timer(3.0, ended.set).start()
            while not ended.wait(PERIOD_S):
                peak_mib = max(peak_mib, resident_mib(pid))
    assert not load.lost
    assert set(load.answered) == {200}
    print(
        f"\n{sum(load.answered.values())} requests of {len(body) / 2**20:.1f} MiB: at most {peak_mib:.0f} MiB of memory"
    )
    print(f"without load: {idle_mib:.0f} MiB")
    assert peak_mib * 1.5 <= mebibytes(server("cpu")["resources"]["limits"]["memory"])


def resident_mib(pid: int) -> float:
    """What the process and its children hold, a page that several share counted once, as a container's group does."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total_kib = 0
    for each in (str(pid), *children):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        total_kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kib / 1024
