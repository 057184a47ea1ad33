"""Stories of real worker processes: killed, scraped, stopped, and never started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import pytest

from service import artifact
from service.heartbeats import Heartbeats
from service.lifecycle import State
from service.workers import Backoff, Supervisor
from tests.service.running import PATIENCE_S, Connection, Running, post, refused

COUNTERS: Final = ("_total", "_count", "_bucket")


@pytest.fixture
def running(models: Path) -> Iterator[Running]:
    with Running(models, workers=2) as server:
        yield server


def predict(server: Running) -> int:
    """Send a request over a new connection, to any worker."""
    with server.connect() as connection:
        connection.send(post(b'{"inputs": [[1, 2, 3, 4]]}'))
        return connection.answer().status


def scrape_after(server: Running, requests: int) -> dict[str, float]:
    """A scrape once the metrics of all workers include their last responses."""
    ends_at = time.monotonic() + 10
    # Updated first and last.
    counters = ("mlp_requests_total small /predict 200", "mlp_stage_duration_seconds_count small encode")
    while True:
        found = server.metrics()
        if all(found.get(name) == requests for name in counters) and found["mlp_requests_in_flight"] == 0:
            return found
        assert time.monotonic() < ends_at, found


def test_a_scrape_covers_all_workers_and_counts_survive_a_killed_one(running: Running) -> None:
    """1. Both workers answer 40 requests. 2. One is killed and replaced. 3. 40 more are answered: 80 in the metrics."""
    assert [predict(running) for _ in range(40)] == [200] * 40
    before = scrape_after(running, 40)
    victim, survivor = running.workers()
    os.kill(victim, signal.SIGKILL)
    assert f"(process {victim}) ended with exit status -9" in running.wait_for("ended with exit status")
    running.wait_for("ready on")
    assert survivor in running.workers()
    assert [predict(running) for _ in range(40)] == [200] * 40
    after = scrape_after(running, 80)
    assert after["mlp_request_rows_count small"] == 80
    assert sum(value for name, value in after.items() if name.startswith("mlp_predictions_total")) == 80
    assert after["mlp_ready"] == 1
    assert (after["mlp_workers"], after["mlp_worker_starts_total"]) == (2, 3)
    assert after["process_cpu_seconds_total"] > before["process_cpu_seconds_total"], "the dead worker's is lost"
    assert all(after[name] >= before[name] for name in counters(before))


def test_a_scrape_is_exact_while_a_worker_is_dead(models: Path) -> None:
    """1. Eight requests are half sent. 2. A worker is killed, and none can start. 3. A scrape shows it. 4. One can."""
    with Running(models, workers=2) as server:
        assert [predict(server) for _ in range(20)] == [200] * 20
        before = scrape_after(server, 20)
        half = [server.connect() for _ in range(8)]
        for line in half:
            line.send(post(b'{"inputs": [[1, 2, 3, 4]]}')[:-5])
        wait_until(lambda: server.metrics()["mlp_requests_in_flight"] >= 8)
        model = models / "small" / "1" / artifact.MODEL
        whole = model.read_bytes()
        model.write_bytes(b"altered")
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for("ended with exit status -9")
        scraped: list[dict[str, float]] = []
        while len(scraped) < 20:
            scraped += scrape(server)
        left = 8 - sum(is_reset(line) for line in half)
        for metrics in scraped:
            assert (metrics["mlp_ready"], metrics["mlp_workers"]) == (0, 1)
            assert metrics["mlp_requests_in_flight"] in {left, left + 1}  # the scrape
            assert metrics["mlp_worker_deaths_total"] >= 1
            assert all(metrics[name] >= before[name] for name in counters(before))
        server.wait_for("ended with exit status 1")
        model.write_bytes(whole)
        server.wait_for("ready on")
        wait_until(lambda: any(metrics["mlp_ready"] == 1 for metrics in scrape(server)))
        after = server.metrics()
        assert after["mlp_workers"] == 2
        assert after["mlp_worker_deaths_total"] == after["mlp_worker_starts_total"] - 2 >= 2


# Root needs no user namespace for it, and in a chroot may have none.
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
IN_A_FILE_SYSTEM = """#!/bin/sh
exec {unshare} \\
    sh -c 'mount -t tmpfs -o size={size} tmpfs "{folder}" && exec "{python}" "$@"' sh "$@"
"""


def with_temporary_files_of(folder: Path, size: str) -> Path:
    """A program that runs Python with ``folder`` as a file system of that size."""
    program = folder.with_suffix(".sh")
    program.write_text(
        IN_A_FILE_SYSTEM.format(unshare=" ".join(UNSHARE), folder=folder, size=size, python=sys.executable)
    )
    program.chmod(0o700)
    return program


def may_mount() -> bool:
    """Whether this process may mount file systems, which depends on the container's host."""
    command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="no file system may be mounted; other tests limit the size of files")
def test_a_full_disk_ends_no_worker_and_prevents_no_restart(
    models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """1. Two workers run. 2. The disk is full. 3. All routes are requested. 4. A worker is killed and replaced."""
    temporary = tmp_path_factory.mktemp("temporary")
    python = with_temporary_files_of(temporary, "3m")
    with Running(models, workers=2, variables={"TMPDIR": str(temporary)}, python=python) as server:
        fill(Path(f"/proc/{server.process.pid}/root{temporary}/fill"))
        statuses = [predict(server) for _ in range(20)]
        for path in ("/predict", "/models", "/models/small", "/models/none", "/docs", "/openapi.json", "/none"):
            for method in ("GET", "HEAD", "PUT", "POST"):
                with server.connect() as line:
                    line.send(f"{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n".encode())
                    assert line.socket.recv(12).startswith(b"HTTP/1.1 ")
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for("ended with exit status -9")
        server.wait_for("ready on")
        statuses += [predict(server) for _ in range(20)]
        metrics = scrape_after(server, len(statuses))
        assert statuses == [200] * 40
        assert (metrics["mlp_ready"], metrics["mlp_workers"], metrics["mlp_worker_deaths_total"]) == (1, 2, 1)
        assert metrics["mlp_label_sets_dropped_total"] == 0


def fill(path: Path) -> None:
    free_bytes = os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize
    path.write_bytes(bytes(free_bytes))
    assert os.statvfs(path.parent).f_bavail == 0


def counters(metrics: dict[str, float]) -> list[str]:
    return [name for name in metrics if name.startswith("mlp_") and name.partition(" ")[0].endswith(COUNTERS)]


def wait_until(true: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends_s


def scrape(server: Running) -> list[dict[str, float]]:
    """One scrape, or none if the kernel gave the connection to a worker that had just died."""
    try:
        return [server.metrics()]
    except (ConnectionError, AssertionError):
        return []


def is_reset(line: Connection) -> bool:
    """Whether the connection ended with its worker."""
    line.socket.settimeout(0)
    try:
        return line.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_worker_that_keeps_dying_is_restarted_more_and_more_slowly() -> None:
    pauses = Backoff()
    assert [pauses.pause_s(lived_s=2) for _ in range(6)] == [0, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert [pauses.pause_s(lived_s=2) for _ in range(5000)][-1] == 30
    assert pauses.pause_s(lived_s=61) == 0
    assert pauses.pause_s(lived_s=2) == 0.2


def die_repeatedly(deaths: int, marks: Path) -> None:
    """A supervisor whose worker is ready and ends at once; later it ends before it is ready."""

    heartbeats = Heartbeats(1)

    def work(index: int) -> int:
        lives = len(list(marks.iterdir()))
        (marks / str(lives)).touch()
        if lives < 2:
            heartbeats.enter(index, State.READY)
        return 3

    def died(_index: int, hung: bool) -> None:
        os.write(deaths, b"hung\n" if hung else b"died\n")

    raise SystemExit(10 + Supervisor(heartbeats, work, stop_timeout_s=1, died=died).run())


def test_sigterm_ends_a_server_that_pauses_before_a_restart(tmp_path: Path) -> None:
    """1. A worker is ready and ends, five times. 2. SIGTERM during the pause. 3. The supervisor ends with status 0."""
    reader, writer = os.pipe()
    supervisor = get_context("fork").Process(target=die_repeatedly, args=(writer, tmp_path))
    started_s = time.monotonic()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
        supervisor.start()
    os.close(writer)
    with os.fdopen(reader) as deaths:
        for _ in range(5):
            assert deaths.readline() == "died\n"
        assert time.monotonic() - started_s >= 0.2 + 0.4 + 0.8
        supervisor.terminate()
        assert deaths.read() == ""
    supervisor.join(PATIENCE_S)
    assert supervisor.exitcode == 10


def end_before_ready() -> None:
    raise SystemExit(10 + Supervisor(Heartbeats(3), lambda _: 3, stop_timeout_s=1, died=lambda *_: None).run())


def test_the_server_ends_if_workers_end_before_they_are_ready() -> None:
    for _ in range(5):
        supervisor = get_context("fork").Process(target=end_before_ready)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
            supervisor.start()
        supervisor.join(PATIENCE_S)
        assert supervisor.exitcode == 11


def fail_at_a_death() -> None:
    heartbeats = Heartbeats(2)

    def work(index: int) -> int:
        heartbeats.enter(index, State.READY)
        if index == 1:
            signal.pause()
        return 3

    def died(_index: int, _hung: bool) -> None:
        raise RuntimeError

    try:
        Supervisor(heartbeats, work, stop_timeout_s=1, died=died).run()
    except RuntimeError:
        raise SystemExit(12) from None


def test_a_supervisor_that_fails_leaves_no_worker_behind() -> None:
    """Otherwise it would wait for the workers, and they for its end."""
    supervisor = get_context("fork").Process(target=fail_at_a_death)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
        supervisor.start()
    supervisor.join(PATIENCE_S)
    assert supervisor.exitcode == 12


def test_sigterm_stops_all_workers_and_leaves_nothing_behind(running: Running) -> None:
    workers = running.workers()
    running.terminate()
    assert running.exit_status() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_workers_do_not_outlive_a_parent_that_is_killed(running: Running) -> None:
    running.kill()
    # the pipe ends when the last of them is gone
    assert sum('"stopped"' in line for line in running.whole_log()) == 2


def test_the_server_ends_if_no_worker_can_start(models: Path) -> None:
    (models / "small" / "1" / artifact.MODEL).write_bytes(b"altered")
    assert "is not the file that was published" in refused("--models", str(models), "--workers", "2")


def test_two_servers_cannot_share_a_port(running: Running, models: Path) -> None:
    assert refused("--models", str(models), "--workers", "2", "--port", str(running.port)) == (
        f"cannot listen on 127.0.0.1 port {running.port}: Address already in use; choose another with --host and --port"
    )
