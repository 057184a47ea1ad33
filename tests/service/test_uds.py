"""A server on a Unix socket: its workers share it, and no request is lost when it stops."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.service.running import PATIENCE_S, Connection, Running, post

ROW = [0.1, 0.2, 0.3, 0.4]
ONE = post(json.dumps({"inputs": [ROW]}).encode())


@dataclass
class Client:
    """Sends requests until the socket is gone; with ``reconnects``, each over its own connection."""

    path: str
    reconnects: bool
    answered: int = 0
    lost: str = ""

    def run(self) -> None:
        while True:
            try:
                line = Connection(self.path)
            except (FileNotFoundError, ConnectionRefusedError):
                return
            try:
                self.send_over(line)
            except (OSError, AssertionError) as error:
                self.lost = repr(error)
                return
            finally:
                line.close()

    def send_over(self, line: Connection) -> None:
        while True:
            line.send(ONE)
            answer = line.answer()
            assert answer.status == 200
            self.answered += 1
            if self.reconnects or answer.headers.get("connection") == "close":
                return


def check_no_request_is_lost(server: Running) -> None:
    """At SIGTERM."""
    path = server.address.removeprefix("unix:")
    clients = [Client(path, reconnects=bool(number % 2)) for number in range(8)]
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    while min(client.answered for client in clients) < 20 and not any(client.lost for client in clients):
        time.sleep(0.01)
    server.terminate()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert [client.lost for client in clients] == [""] * len(clients)
    assert server.exit_status() == 0
    assert not Path(path).exists()


def test_one_worker(shared_models: Path, tmp_path: Path) -> None:
    path = tmp_path / "mlp.sock"
    with Running(shared_models, f"--uds={path}", "--uds-mode=600") as server:
        assert server.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://mlp") as client:
            assert client.post("/predict", json={"inputs": [ROW]}).status_code == 200
            assert client.get("/docs").status_code == 200
        check_no_request_is_lost(server)


def test_two_workers(shared_models: Path, tmp_path: Path) -> None:
    """Each answers while the other is paused, and the socket outlives a worker."""
    with Running(shared_models, f"--uds={tmp_path / 'mlp.sock'}", workers=2) as server:
        for paused in server.workers():
            os.kill(paused, signal.SIGSTOP)
            with server.connect() as line:
                line.send(ONE)
                assert line.answer().status == 200
            os.kill(paused, signal.SIGCONT)
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for("ready on")
        check_no_request_is_lost(server)
