"""The admin port of a server whose main port takes clients with certificates alone."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.certificates import Authority, options
from tests.service.grpc.running_grpc import free_port
from tests.service.running import PATIENCE_S, Connection, Running, parsed, post

ONE = post(json.dumps({"inputs": [[0.1, 0.2, 0.3, 0.4]]}).encode())
PREDICTIONS = 40
HALF_HEAD = b"GET /metrics HTTP/1.1\r\nhost: test\r\nx-half: " + b"x" * 60_000
SLOW = 200  # their heads together are more than the budgets of both workers
BROWSER = {"accept": "text/html"}


class WithAdmin(Running):
    """A server of two workers with both ports."""

    def __init__(self, models: Path, folder: Path) -> None:
        authority = Authority()
        (folder / "ca.pem").write_bytes(authority.pem)
        self.admin_port = free_port()
        arguments = [*options(*authority.write(folder)), f"--tls-client-ca={folder / 'ca.pem'}"]
        arguments += [f"--admin-port={self.admin_port}", "--max-buffered-bytes=1000000"]
        super().__init__(models, *arguments, workers=2, tls=authority.client(authority))
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{self.admin_port}", timeout=PATIENCE_S)

    def __exit__(self, *error: Any) -> None:
        self.admin.close()
        super().__exit__(*error)

    def scrape(self) -> dict[str, float]:
        return parsed(self.admin.get("/metrics").text)


@pytest.fixture(scope="module")
def server(shared_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithAdmin]:
    """At the end it drains, also with an open connection of the admin port."""
    with WithAdmin(shared_models, tmp_path_factory.mktemp("tls")) as running:
        yield running
        assert running.admin.get("/health/ready").status_code == 200
        running.terminate()
        assert running.exit_status() == 0


def test_the_metrics_of_all_workers_are_on_the_admin_port_alone(server: WithAdmin) -> None:
    counter = "mlp_requests_total small /predict 200"
    before = server.scrape().get(counter, 0.0)
    for _ in range(PREDICTIONS):
        with server.connect() as line:  # each to any worker
            line.send(ONE)
            assert line.answer().status == 200
    ends_at_s = time.monotonic() + PATIENCE_S
    while server.scrape().get(counter, 0.0) < before + PREDICTIONS:  # the other worker counts a moment later
        assert time.monotonic() < ends_at_s
    for _ in range(4):
        with httpx.Client(base_url=server.admin.base_url) as scraper:  # of any worker
            found = parsed(scraper.get("/metrics").text)
        assert found[counter] == before + PREDICTIONS
        assert found["mlp_workers"] == 2
    with server.client() as client:
        assert client.get("/metrics").status_code == 404
        assert client.get("/status").status_code == 404


def test_probes_are_on_both_ports_and_need_no_certificate_here(server: WithAdmin) -> None:
    with server.client() as client:
        for path in ("/health/live", "/health/ready", "/health/startup"):
            assert client.get(path).json() == server.admin.get(path).json()
            assert server.admin.head(path).status_code == 200
        assert client.get("/models").json() == server.admin.get("/models").json()


def test_the_live_view_and_what_it_loads_are_on_the_admin_port(server: WithAdmin) -> None:
    shown = server.admin.get("/", headers=BROWSER, follow_redirects=True)
    assert shown.url.path == "/status"
    for gone in ('<a href="./">Try it</a>', '<a href="docs">API</a>'):
        assert gone not in shown.text
    assert server.admin.get("/page/status.js").status_code == 200
    with server.client() as client:
        page = client.get("/", headers=BROWSER)
        assert page.status_code == 200
        assert '<a href="docs">API</a>' in page.text
        assert '<a href="status">' not in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/predict", 404), ("GET", "/docs", 404), ("POST", "/metrics", 405)]
)
def test_there_is_nothing_else(server: WithAdmin, method: str, path: str, status: int) -> None:
    answer = server.admin.request(method, path, content=b"{}")
    assert answer.status_code == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "this port has GET /metrics, /status, /models and /health/ready" in answer.json()["detail"]


def test_slow_clients_here_do_not_harm_traffic(server: WithAdmin) -> None:
    """They hold as many unparsed bytes as the port allows, which is more than the main port has; others are refused."""
    with ExitStack() as slow:
        lines = [slow.enter_context(Connection(server.admin_port)) for _ in range(SLOW)]
        for line in lines:
            line.send(HALF_HEAD)
        refused, _, _ = select.select([line.socket for line in lines], [], [], PATIENCE_S)
        answers = [line.answer().status for line in lines if line.socket in refused]
        assert set(answers) == {429}
        assert len(answers) < SLOW
        with server.connect() as line:
            line.send(ONE)
            assert line.answer().status == 200
