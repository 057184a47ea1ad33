"""Stories of workers that hang, and of workers that die again and again, under load."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally
from service.heartbeats import Heartbeats
from service.lifecycle import State
from service.workers import Supervisor
from tests.service.running import PATIENCE_S, Connection, Running, parsed, post
from tests.service.trapped import GOOD, publish_trapped, slow

ONE = post(json.dumps({"inputs": [GOOD]}).encode())
ENDLESS = post(json.dumps({"inputs": [slow(9e18)]}).encode())
CLIENTS = 8
# Workers that run answer a few probes without such a pause.
QUIET_S = 0.5
# 8 s are measured, and 10 promised (benchmarks/deaths.py). A busy machine starts the new worker more slowly.
BACK_S = 15.0
# A drain that would outlast a test's patience.
PATIENT = f"--drain-timeout-s={10 * PATIENCE_S:.0f}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_trapped(folder)
    return folder


def get(line: Connection, path: str) -> tuple[int, bytes]:
    line.send(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    answer = line.answer()
    return answer.status, answer.body


def survivor(server: Running, hang: Callable[[], None]) -> Connection:
    """Let a worker hang, and return a connection to one that does not."""
    lines = [server.connect() for _ in range(32)]
    for line in lines:
        assert get(line, "/health/ready") == (200, b'{"status":"ready"}')
    hang()
    while True:  # the worker may answer once more before it hangs
        for line in lines:
            line.send(b"GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n")
        waiting = {line.socket: line for line in lines}
        answered: list[Connection] = []
        while waiting and (found := select.select([*waiting], [], [], QUIET_S if answered else PATIENCE_S)[0]):
            answered += [waiting.pop(each) for each in found]
            assert {line.answer().status for line in answered[-len(found) :]} == {200}
        if waiting:
            return answered[0]


class Watched:
    """What the probes and scrapes of a server say until all its workers are back."""

    def __init__(self, line: Connection, deaths: int = 1) -> None:
        self.scrapes: list[dict[str, float]] = []
        self.probes: list[tuple[int, bytes]] = []
        started_s = time.monotonic()
        while True:
            assert get(line, "/health/live") == (200, b'{"status":"alive"}')
            self.probes.append(get(line, "/health/ready"))
            self.scrapes.append(parsed(get(line, "/metrics")[1].decode()))
            self.took_s = time.monotonic() - started_s
            if self.scrapes[-1]["mlp_worker_deaths_total"] == deaths and self.scrapes[-1]["mlp_ready"] == 1:
                break
            assert self.took_s < PATIENCE_S
            time.sleep(0.05)


def check_counters(scrapes: list[dict[str, float]]) -> None:
    """Counters only grow, and lose no series."""
    for before, after in itertools.pairwise(scrapes):
        for name, value in before.items():
            if name.partition(" ")[0].endswith(("_total", "_count", "_bucket")):
                assert after.get(name, -1) >= value, name


@contextmanager
def loaded(server: Running) -> Iterator[Callable[[Callable[[], Any]], tuple[Any, Tally]]]:
    """Runs a function while clients send as fast as they can; gives its result, and what became of their requests."""

    def run(function: Callable[[], Any]) -> tuple[Any, Tally]:
        async def story() -> tuple[Any, Tally]:
            group = Clients(server.port)
            tally = group.keep_alive(CLIENTS, ONE)
            while sum(tally.answers.values()) < 10 * CLIENTS:
                await asyncio.sleep(0.01)
            result = await asyncio.to_thread(function)
            answered = sum(tally.answers.values())
            while sum(tally.answers.values()) < answered + 10 * CLIENTS:
                await asyncio.sleep(0.01)
            await group.stop(PATIENCE_S)
            return result, tally

        result: tuple[Any, Tally] = clients.run(story())
        return result

    yield run


def test_a_stopped_worker_under_load_is_replaced_in_seconds(models: Path) -> None:
    """1. Clients send. 2. A worker is stopped. 3. Not ready, but live. 4. It is killed and replaced. 5. Ready."""
    with Running(models, workers=2) as server, loaded(server) as run:

        def story() -> Watched:
            victim = server.workers()[0]
            return Watched(survivor(server, lambda: os.kill(victim, signal.SIGSTOP)))

        seen, tally = run(story)
        line = server.wait_for("hangs")
    assert seen.took_s < BACK_S
    assert [status for status, _ in itertools.groupby(status for status, _ in seen.probes)] == [200, 503, 200]
    hanging = json.loads(next(body for status, body in seen.probes if status == 503))
    assert hanging["status"] == "hanging"
    assert re.search(r"worker \d has not responded for \d\.\d s; after 6 s it is replaced", hanging["reason"])
    assert re.search(r"worker \d \(process \d+\) hangs: ready, and no heartbeat for \d\.\d s", line)
    assert (tally.lost <= CLIENTS, set(tally.answers)) == (True, {200})
    assert {said["mlp_ready"] for said in seen.scrapes} == {0, 1}
    assert {said["mlp_workers"] for said in seen.scrapes} == {1, 2}
    assert max(said["mlp_heartbeat_age_seconds"] for said in seen.scrapes) > 5
    assert (seen.scrapes[-1]["mlp_worker_hangs_total"], seen.scrapes[-1]["mlp_worker_starts_total"]) == (1, 3)
    check_counters(seen.scrapes)


def test_an_endless_run_of_the_network_costs_only_its_own_worker(models: Path) -> None:
    """1. A request never ends. 2. Its worker is killed and replaced. 3. Its client is cut off, and others are not."""
    with Running(models, workers=2) as server:
        caught = server.connect()
        line = survivor(server, lambda: caught.send(ENDLESS))
        seen = Watched(line)
        assert seen.took_s < BACK_S
        assert seen.scrapes[-1]["mlp_worker_hangs_total"] == 1
        with pytest.raises((ConnectionResetError, AssertionError)):
            caught.answer()
        check_counters(seen.scrapes)


def test_counters_only_grow_over_ten_deaths_under_load(models: Path) -> None:
    """1. Clients send. 2. Workers are killed in turn, ten times. 3. Each time the server is ready again."""
    with Running(models, workers=4) as server, loaded(server) as run:

        def story() -> list[dict[str, float]]:
            scrapes: list[dict[str, float]] = []
            for deaths in range(10):
                os.kill(server.workers()[0], signal.SIGKILL)  # the oldest
                while True:
                    with server.connect() as line:
                        try:
                            scrapes.append(parsed(get(line, "/metrics")[1].decode()))
                        except (ConnectionError, AssertionError):  # it was the dead worker's
                            continue
                    if scrapes[-1]["mlp_worker_deaths_total"] == deaths + 1 and scrapes[-1]["mlp_ready"] == 1:
                        break
                    time.sleep(0.02)
            return scrapes

        scrapes, tally = run(story)
        check_counters(scrapes)
        assert tally.lost <= 10 * CLIENTS
        assert set(tally.answers) == {200}
        last = scrapes[-1]
        assert (last["mlp_worker_deaths_total"], last["mlp_worker_hangs_total"], last["mlp_workers"]) == (10, 0, 4)


def test_connections_that_a_hung_worker_has_not_accepted_get_answers(models: Path) -> None:
    """1. A worker is stopped. 2. Clients connect and send. 3. All are answered: some when the worker was killed."""
    with Running(models, workers=2) as server:
        victim = server.workers()[0]
        survivor(server, lambda: os.kill(victim, signal.SIGSTOP))
        connections = [server.connect() for _ in range(32)]
        for each in connections:
            each.send(ONE)
        assert {each.answer().status for each in connections} == {200}
        line = server.wait_for("passed on")
        found = re.search(r"passed on (\d+) of (\d+) connections that worker \d had not accepted", line)
        assert found is not None
        assert found[1] == found[2]
        assert 0 < int(found[1]) <= 32


def test_a_stopped_worker_does_not_delay_the_end(models: Path) -> None:
    """1. A worker is stopped. 2. SIGTERM. 3. The server does not wait for it until the drain times out."""
    with Running(models, PATIENT, workers=2) as server:
        os.kill(server.workers()[0], signal.SIGSTOP)
        server.terminate()
        assert server.exit_status(timeout_s=60) == 0
        assert sum("hangs" in line for line in server.whole_log()) == 1


def test_a_worker_that_hangs_does_not_outlive_a_parent_that_is_killed(models: Path) -> None:
    """1. A request never ends. 2. The supervisor is killed. 3. The worker cannot drain, and ends nevertheless."""
    with Running(models, "--drain-timeout-s=1", workers=2) as server:
        survivor(server, lambda: server.connect().send(ENDLESS))
        server.kill()
        assert sum('"stopped"' in line for line in server.whole_log()) == 1  # the pipe ends with the last worker


def test_a_single_process_removes_the_metrics_of_a_killed_server(models: Path, tmp_path: Path) -> None:
    """1. A server of two workers is killed. 2. One of a single process starts. 3. The folder is gone."""
    temporary = {"TMPDIR": str(tmp_path)}
    with Running(models, workers=2, variables=temporary) as server:
        server.kill()
        server.whole_log()
    assert [path.name.startswith("mlp-serving-metrics-") for path in tmp_path.iterdir()] == [True]
    with Running(models, variables=temporary):
        assert list(tmp_path.iterdir()) == []


HUNG_S = 0.5
INTERVAL_S = 0.05


def supervise(reports: int, marks: Path, hangs: Callable[[int], bool]) -> None:
    """A supervisor of two workers. Each life sends heartbeats, or hangs."""
    heartbeats = Heartbeats(2, interval_s=INTERVAL_S, hung_s=HUNG_S)

    def work(index: int) -> int:
        life = len(list(marks.glob(f"{index}-*")))
        (marks / f"{index}-{life}").touch()
        heartbeats.enter(index, State.READY)
        while not (index == 1 and hangs(life)):
            heartbeats.beat(index)
            time.sleep(INTERVAL_S)
        signal.pause()
        return 0

    def died(index: int, hung: bool) -> None:
        os.write(reports, b"%d %s\n" % (index, b"hung" if hung else b"died"))

    raise SystemExit(10 + Supervisor(heartbeats, work, stop_timeout_s=1, died=died).run())


@contextmanager
def supervisor(marks: Path, hangs: Callable[[int], bool]) -> Iterator[tuple[Any, Any]]:
    """The process of `supervise`, and the file of its reports."""
    reader, writer = os.pipe()
    process = get_context("fork").Process(target=supervise, args=(writer, marks, hangs))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
        process.start()
    os.close(writer)
    try:
        with os.fdopen(reader) as reports:
            yield process, reports
    finally:
        process.kill()
        process.join()


def test_workers_that_hang_again_and_again_are_replaced_more_and_more_slowly(tmp_path: Path) -> None:
    with supervisor(tmp_path, lambda _life: True) as (process, reports):
        started_s = time.monotonic()
        for _ in range(4):
            assert reports.readline() == "1 hung\n"
        assert time.monotonic() - started_s >= 4 * HUNG_S + 0.2 + 0.4
        process.terminate()
        assert reports.read() == ""
        process.join(PATIENCE_S)
        assert process.exitcode == 10


def test_a_supervisor_that_was_stopped_kills_no_good_worker(tmp_path: Path) -> None:
    """1. The supervisor and all workers are stopped, and continue. 2. Only the supervisor is. 3. No worker has died."""
    with supervisor(tmp_path, lambda _life: False) as (process, reports):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        workers = [int(pid) for pid in children.read_text().split()]
        for stopped in ([process.pid, *workers], [process.pid]):
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(3 * HUNG_S)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            assert select.select([reports], [], [], 2 * HUNG_S)[0] == []
        assert [int(pid) for pid in children.read_text().split()] == workers
        os.kill(workers[1], signal.SIGSTOP)  # it is still watched
        assert reports.readline() == "1 hung\n"


class Full(Supervisor):
    """The machine has no room for a second process of the same worker, once."""

    starts = 0

    def _start(self, index: int) -> None:
        self.starts += 1
        if self.starts == 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        super()._start(index)


def supervise_in_a_full_machine(reports: int) -> None:
    heartbeats = Heartbeats(1)

    def work(index: int) -> int:
        heartbeats.enter(index, State.READY)
        os.write(reports, b"ready\n")
        return 3

    raise SystemExit(10 + Full(heartbeats, work, stop_timeout_s=1, died=lambda *_: None).run())


def test_a_worker_that_cannot_be_started_for_the_moment_is_started_later() -> None:
    reader, writer = os.pipe()
    process = get_context("fork").Process(target=supervise_in_a_full_machine, args=(writer,))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
        process.start()
    os.close(writer)
    with os.fdopen(reader) as reports:
        assert [reports.readline(), reports.readline()] == ["ready\n"] * 2
        process.terminate()
        process.join(PATIENCE_S)
    assert process.exitcode == 10
