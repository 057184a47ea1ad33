"""Stories of SIGTERM: earlier requests are answered, later ones are not, and the process ends in time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally
from service import app, metrics
from service.errors import StartError
from service.lifecycle import State
from service.server import Stop, run
from service.settings import Settings
from service.sockets import Sockets, listen
from tests.service.published import publish
from tests.service.running import PATIENCE_S, Connection, Running, command, environment, post
from tests.service.trapped import GOOD, publish_trapped, slow

ONE = post(json.dumps({"inputs": [GOOD]}).encode())
CLIENTS = 16
# Longer than any test waits, so a server that ends in a test did not wait for the timeout.
PATIENT = f"--drain-timeout-s={10 * PATIENCE_S:.0f}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_trapped(folder)
    return folder


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def server(request: pytest.FixtureRequest, models: Path) -> Iterator[Running]:
    with Running(models, "--receive-timeout-s=1.5", PATIENT, workers=request.param) as running:
        yield running


def end(server: Running) -> None:
    """Send SIGTERM and check that the server ends with status 0."""
    server.terminate()
    assert server.exit_status() == 0


def test_idle(server: Running) -> None:
    """1. No connections. 2. SIGTERM. 3. The server ends at once, and logs it."""
    end(server)
    messages = [json.loads(line)["message"] for line in server.whole_log()]
    draining = "draining: no new connections, open ones are answered and closed"
    assert messages.count(draining) == messages.count("stopped")
    assert not any('"error"' in line for line in server.log)


def test_with_connections_kept_alive(server: Running) -> None:
    """1. Connections with and without requests so far. 2. SIGTERM. 3. They are closed, and none is reset."""
    lines = [server.connect() for _ in range(8)]
    for line in lines[:4]:
        line.send(ONE)
        assert line.answer().status == 200
    end(server)
    assert all(line.is_closed() for line in lines)


def test_the_next_request_on_an_open_connection_is_its_last(server: Running) -> None:
    """1. A connection is open. 2. SIGTERM. 3. Its next request is answered, as its last. 4. No new connections."""
    with server.connect() as line:
        line.send(ONE)
        assert "connection" not in line.answer().headers
        server.drain()
        line.send(ONE)
        answer = line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert line.is_closed()
    assert server.exit_status() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_a_draining_server_is_live_and_not_ready(server: Running) -> None:
    """1. Connections are open. 2. SIGTERM. 3. The server is live, and not ready."""
    lines = {path: server.connect() for path in ("/health/live", "/health/ready", "/health/startup", "/metrics")}
    for line in lines.values():
        line.send(b"GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n")
        assert line.answer().status == 200
    server.drain()
    for path, line in lines.items():
        line.send(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    answers = {path: line.answer() for path, line in lines.items()}
    assert [answers[path].status for path in lines] == [200, 503, 200, 200]
    assert json.loads(answers["/health/ready"].body) == {"status": "draining"}
    assert b"\nmlp_ready 0.0\n" in answers["/metrics"].body
    assert all(answer.headers["connection"] == "close" for answer in answers.values())
    assert server.exit_status() == 0


def test_with_half_a_body_and_then_the_rest(server: Running) -> None:
    """1. Half a body has arrived. 2. SIGTERM. 3. The rest arrives. 4. The request is answered."""
    with server.connect() as line:
        line.send(ONE[:-5])
        server.drain()
        line.send(ONE[-5:])
        answer = line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert server.exit_status() == 0


def test_with_half_a_body_and_never_the_rest(models: Path) -> None:
    """1. Half a body has arrived. 2. SIGTERM. 3. Nothing arrives. 4. The request is rejected.

    Both servers drain at the same time, as each lingers for a client that does not close its connection.
    """
    timeout = "--receive-timeout-s=1.5"
    with Running(models, timeout, PATIENT) as one, Running(models, timeout, PATIENT, workers=2) as two:
        lines = [server.connect() for server in (one, two)]
        for line in lines:
            line.send(ONE[:-5])
        started_s = time.monotonic()
        for server in (one, two):
            server.terminate()
        for server in (one, two):
            assert server.exit_status() == 0
        assert time.monotonic() - started_s > 1
        for line in lines:
            assert line.answer().status == 408
            assert line.is_closed()


def test_with_queued_requests(server: Running) -> None:
    """1. Requests of many rows are queued behind a slow one. 2. SIGTERM. 3. All are answered."""
    rows = 2000
    lines = [server.connect() for _ in range(6)]
    for line, first in zip(lines, [slow(1e6), *[GOOD] * 5], strict=True):
        line.send(post(json.dumps({"inputs": [first, *[GOOD] * (rows - 1)]}).encode()))
    server.drain()
    answers = [line.answer() for line in lines]
    assert [answer.status for answer in answers] == [200] * 6
    assert [len(json.loads(answer.body)["predictions"]) for answer in answers] == [rows] * 6
    assert answers[0].headers["connection"] == "close"  # it was answered while the server drained
    assert server.exit_status() == 0


@dataclass
class Client:
    """Sends requests over one connection until a response says that it closes."""

    line: Connection
    sent: int = 0
    answered: int = 0
    lost: str = ""

    def run(self) -> None:
        try:
            while True:
                self.sent += 1
                self.line.send(ONE)
                answer = self.line.answer()
                assert answer.status == 200
                self.answered += 1
                if answer.headers.get("connection") == "close":
                    return
        except (OSError, AssertionError) as error:
            self.lost = repr(error)


@pytest.mark.parametrize("fast_path", ["true", "false"])
@pytest.mark.parametrize("workers", [1, 2])
def test_connections_that_only_the_kernel_has_accepted(models: Path, workers: int, fast_path: str) -> None:
    """1. The processes are paused. 2. Clients send requests. 3. SIGTERM. 4. They resume. 5. All are answered."""
    with Running(models, f"--fast-path={fast_path}", workers=workers) as server:
        processes = [server.process.pid, *server.workers()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        lines = [server.connect() for _ in range(100)]
        for line in lines:
            line.send(ONE)
        server.terminate()
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        answers = [line.answer() for line in lines]
        assert [answer.status for answer in answers] == [200] * 100
        assert server.exit_status() == 0


def test_clients_that_reconnect_for_each_request(server: Running) -> None:
    """1. Clients connect for each request. 2. SIGTERM. 3. Connected ones are answered, others refused."""

    async def story() -> Tally:
        group = Clients(server.port)
        tally = group.reconnecting(8, ONE)
        while sum(tally.answers.values()) < 100:
            await asyncio.sleep(0.01)
        server.terminate()
        assert await asyncio.to_thread(server.exit_status) == 0
        await group.stop(PATIENCE_S)
        return tally

    tally = clients.run(story())
    assert (tally.lost, set(tally.answers)) == (0, {200})
    assert tally.refused > 0


@pytest.mark.parametrize("fast_path", ["true", "false"])
def test_incomplete_requests_are_rejected_when_the_drain_times_out(models: Path, fast_path: str) -> None:
    """1. Half a body and half a head. 2. SIGTERM. 3. Nothing arrives until the drain ends. 4. They get 503."""
    with Running(models, f"--fast-path={fast_path}", "--drain-timeout-s=1", "--receive-timeout-s=100") as server:
        body, head, idle = (server.connect() for _ in range(3))
        body.send(ONE[:-5])
        head.send(ONE[:20])
        idle.send(ONE)
        assert idle.answer().status == 200
        end(server)
        for line in (body, head):
            answer = line.answer()
            assert (answer.status, answer.headers["connection"], answer.headers["retry-after"]) == (503, "close", "1")
            assert json.loads(answer.body)["detail"] == "the server stopped before this request was complete; try again"
            assert line.is_closed()
        assert idle.is_closed()
        rejected = [line for line in server.whole_log() if '"not-ready"' in line]
        assert len(rejected) == 2


def test_sighup_drains_too(server: Running) -> None:
    """1. Half a body. 2. SIGHUP, as when a terminal is closed. 3. The rest arrives and is answered."""
    with server.connect() as line:
        line.send(ONE[:-5])
        server.process.send_signal(signal.SIGHUP)
        for _ in range(server.worker_count):
            server.wait_for("draining")
        line.send(ONE[-5:])
        assert line.answer().status == 200
    assert server.exit_status() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_is_ignored_if_the_parent_ignores_it(models: Path, workers: int) -> None:
    """1. The server is started as by nohup. 2. SIGHUP to all its processes. 3. It continues."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = Running(models, PATIENT, workers=workers)
    finally:
        signal.signal(signal.SIGHUP, before)
    with server:
        for pid in (server.process.pid, *server.workers()):
            os.kill(pid, signal.SIGHUP)
        with server.connect() as line:
            line.send(ONE)
            assert line.answer().status == 200
        end(server)


def test_a_second_ctrl_c_ends_the_drain(models: Path) -> None:
    """1. Half a body. 2. Ctrl-C. 3. The server waits for the rest. 4. Ctrl-C. 5. It ends."""
    with Running(models, "--receive-timeout-s=100", "--drain-timeout-s=100") as server, server.connect() as line:
        line.send(ONE[:-5])
        server.process.send_signal(signal.SIGINT)
        server.wait_for("draining")
        server.process.send_signal(signal.SIGINT)
        assert server.exit_status() == 0


def test_under_load(server: Running) -> None:
    """1. 16 clients send as fast as they can. 2. SIGTERM. 3. No request is lost, and the counters agree."""
    clients = [Client(server.connect()) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    while min(client.answered for client in clients) < 20:
        time.sleep(0.01)
    server.terminate()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [client.lost for client in clients] == [""] * CLIENTS
    assert [client.sent for client in clients] == [client.answered for client in clients]
    assert server.exit_status() == 0
    logged = sum('"path":"/predict"' in line for line in server.whole_log())
    assert logged == sum(client.answered for client in clients)


@pytest.mark.parametrize(("workers", "fast_path"), [(1, "true"), (2, "true"), (1, "false")])
def test_requests_that_take_longer_than_the_drain_are_rejected(models: Path, workers: int, fast_path: str) -> None:
    """1. A request takes longer than the drain. 2. SIGTERM. 3. Queued requests are rejected, and the server ends."""
    with Running(models, "--drain-timeout-s=1", f"--fast-path={fast_path}", workers=workers) as server:
        lines = [server.connect() for _ in range(2 * workers)]
        for line in lines:  # more rows than one run takes, and each run takes a second or more
            line.send(post(json.dumps({"inputs": [slow(1.5e6)] * 1500}).encode()))
        end(server)
        for line in lines:
            answer = line.answer()
            assert answer.status == 503
            assert json.loads(answer.body)["detail"] == (
                "the server stopped before these rows had their turn; try again"
            )
            assert answer.headers["retry-after"] == "1"


def test_a_second_signal_changes_nothing(server: Running) -> None:
    with server.connect() as line:
        line.send(ONE[:-5])
        server.drain()
        server.terminate()
        line.send(ONE[-5:])
        assert line.answer().status == 200
    assert server.exit_status() == 0


def test_ctrl_c_drains_too(server: Running) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.exit_status() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_during_the_start(models: Path, workers: str) -> None:
    """1. The server loads models. 2. SIGTERM, a moment later each time. 3. It ends at once, with status 0."""
    for number in range(4):
        started = subprocess.Popen(
            command("--models", str(models), "--workers", workers),
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert started.stderr is not None
            started.stderr.readline()
            time.sleep(number * 0.02)
            started.terminate()
            log = started.communicate(timeout=PATIENCE_S)[1]
            assert "Traceback" not in log, log
            assert "refused" not in log, log
            assert started.returncode == 0, log
        finally:
            started.kill()
            started.communicate()


class SignalsItself:
    """Sends a stop signal to this process when it is deleted."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_signal_in_a_destructor_is_noted_and_not_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        stop = Stop()
        stop.listen()
        SignalsItself()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert stop.requested
    assert capfd.readouterr().err == ""


def test_a_stop_request_whose_exception_was_lost_still_ends_it(models: Path) -> None:
    settings = Settings(models=models)
    stop = Stop()
    stop.requested = True
    service = app.build(settings, None, metrics.alone())
    run(service, settings, Sockets(listen("127.0.0.1", 0, unread_timeout_s=1)), stop)
    assert service.lifecycle.state is State.STOPPED


def test_a_closed_log_does_not_stop_the_server(models: Path) -> None:
    started = subprocess.Popen(command("--models", str(models)), env=environment(), stderr=subprocess.PIPE, text=True)
    with started as process:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if "ready on" in line)
        process.stderr.close()
        with Connection(int(ready.split("127.0.0.1:")[1].split(" ")[0])) as line:
            for _ in range(500):
                line.send(ONE)
                assert line.answer().status == 200
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_an_address_occupied_during_the_start_is_a_clear_error(models: Path) -> None:
    """1. Two sockets are bound to a port. 2. One listens. 3. The other cannot."""
    settings = Settings(models=models)
    service = app.build(settings, None, metrics.alone())
    with listen("127.0.0.1", 0, unread_timeout_s=1) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port, unread_timeout_s=1) as second:
            first.listen()
            with pytest.raises(StartError) as refused:
                run(service, settings, Sockets(second), Stop())
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --host and --port"
    )


def test_an_ipv6_address(tmp_path: Path) -> None:
    publish(tmp_path)
    with Running(tmp_path, "--host=::1") as server, socket.create_connection(("::1", server.port)):
        assert server.address == f"http://[::1]:{server.port}"
