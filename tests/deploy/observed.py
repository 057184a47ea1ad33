"""The real Prometheus, with the scrape configuration that deploy/operations.md shows and the overlay's rules."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy.programs import program
from tests.deploy.rendered import DEPLOY, Document, the
from tests.service.running import PATIENCE_S

# A scrape a second where the document says every 15 s, or a test would take minutes.
INTERVAL_S = 1
_POLL_S = 0.1

Sample = tuple[dict[str, str], float]


def configuration(port: int) -> Document:
    """What the document shows, for a server on ``port``, and sooner."""
    (block,) = re.findall(r"```yaml\n(global:\n.*?)```", (DEPLOY / "operations.md").read_text(), re.DOTALL)
    shown: Document = yaml.safe_load(block)
    (scrape,) = shown["scrape_configs"]
    (static,) = scrape["static_configs"]
    assert static["targets"] == ["127.0.0.1:8000"]
    static["targets"] = [f"127.0.0.1:{port}"]
    shown["global"] = dict.fromkeys(shown["global"], f"{INTERVAL_S}s")
    return shown


class Prometheus:
    """A running Prometheus that is asked by PromQL."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.ConnectError:
            return False

    def ask(self, expression: str) -> list[Sample]:
        """The samples of now, with their labels."""
        return [(each["metric"], float(each["value"][1])) for each in self._answer("query", query=expression)]

    def course(
        self, expression: str, start: float, end: float, step_s: float
    ) -> list[tuple[dict[str, str], list[Any]]]:
        """Each series from ``start`` to ``end``: its labels, and its times and values."""
        found = self._answer("query_range", query=expression, start=start, end=end, step=step_s)
        return [(each["metric"], each["values"]) for each in found]

    def _answer(self, path: str, **query: Any) -> list[dict[str, Any]]:
        answer = self._client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result


@contextmanager
def prometheus(port: int, folder: Path) -> Iterator[Prometheus]:
    """One that scrapes a server on ``port``, its data in ``folder``."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(the("monitoring", "PrometheusRule")["spec"]))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(port)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--web.listen-address={address}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"]
    process = subprocess.Popen([program("prometheus"), "--config.file=prometheus.yml", *options], cwd=folder)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client:
            asked = Prometheus(client)
            wait_until(asked.ready, "Prometheus starts")
            wait_until(lambda: bool(asked.ask("up == 1")), "Prometheus scrapes")
            yield asked
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_until(came_true: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not came_true():
        assert time.monotonic() < ends_at, f"in vain: {what}"
        time.sleep(_POLL_S)


def panels() -> list[Document]:
    """The dashboard's panels, as the overlay brings them to Grafana."""
    (dashboard,) = the("monitoring", "ConfigMap")["data"].values()
    found: list[Document] = json.loads(dashboard)["panels"]
    return found


def expressions(panel: Document) -> list[str]:
    """A panel's queries, with what Grafana puts in for its variables."""
    return [target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*") for target in panel["targets"]]
