"""A real Prometheus with the scrape configuration of deploy/operations.md and the rules of the overlay."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy.engine import free_port
from tests.deploy.programs import program
from tests.deploy.rendered import DEPLOY, Document, the
from tests.service.running import PATIENCE_S

# The document has 15 s, with which a test would take minutes.
INTERVAL_S = 1
_POLL_S = 0.1

Sample = tuple[dict[str, str], float]


def configuration(port: int) -> Document:
    """The configuration in the document, for a server on ``port`` and with `INTERVAL_S`."""
    (block,) = re.findall(r"```yaml\n(global:\n.*?)```", (DEPLOY / "operations.md").read_text(), re.DOTALL)
    shown: Document = yaml.safe_load(block)
    (scrape,) = shown["scrape_configs"]
    (static,) = scrape["static_configs"]
    assert static["targets"] == ["127.0.0.1:8000"]
    static["targets"] = [f"127.0.0.1:{port}"]
    shown["global"] = dict.fromkeys(shown["global"], f"{INTERVAL_S}s")
    return shown


class Prometheus:
    """A running Prometheus."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.ConnectError:
            return False

    def query(self, expression: str) -> list[Sample]:
        """The current samples of a PromQL expression, with their labels."""
        return [(each["metric"], float(each["value"][1])) for each in self._get("query", query=expression)]

    def query_range(
        self, expression: str, start: float, end: float, step_s: float
    ) -> list[tuple[dict[str, str], list[Any]]]:
        """The labels of each series, and its times and values from ``start`` to ``end``."""
        found = self._get("query_range", query=expression, start=start, end=end, step=step_s)
        return [(each["metric"], each["values"]) for each in found]

    def exemplars(self, expression: str) -> list[tuple[dict[str, str], dict[str, str]]]:
        """The labels of each exemplar's series, and its own, of the last five minutes."""
        now_s = time.time()
        found = self._data("query_exemplars", query=expression, start=now_s - 300, end=now_s)
        return [(each["seriesLabels"], exemplar["labels"]) for each in found for exemplar in each["exemplars"]]

    def metadata(self, metric: str) -> dict[str, str]:
        """What a scrape says of a metric: its type, its unit and its meaning."""
        (found,) = self._data("targets/metadata", metric=metric)
        return {name: found[name] for name in ("type", "unit", "help")}

    def _get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self._data(path, **query)["result"]
        return result

    def _data(self, path: str, **query: Any) -> Any:
        response = self._client.get(f"/api/v1/{path}", params=query)
        assert response.status_code == 200, response.text
        return response.json()["data"]


@contextmanager
def prometheus(port: int, folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the server on ``port``, with its data in ``folder``."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(the("monitoring", "PrometheusRule")["spec"]))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(port)))
    address = f"127.0.0.1:{free_port()}"
    options = [
        *(f"--web.listen-address={address}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"),
        "--enable-feature=exemplar-storage",
    ]
    process = subprocess.Popen([program("prometheus"), "--config.file=prometheus.yml", *options], cwd=folder)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=PATIENCE_S) as client:
            found = Prometheus(client)
            wait_until(found.ready, "Prometheus starts")
            wait_until(lambda: bool(found.query("up == 1")), "Prometheus scrapes")
            yield found
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def wait_until(condition: Callable[[], bool], event: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at, f"timeout before: {event}"
        time.sleep(_POLL_S)


def panels() -> list[Document]:
    """The dashboard's panels, as the overlay gives them to Grafana."""
    (dashboard,) = the("monitoring", "ConfigMap")["data"].values()
    found: list[Document] = json.loads(dashboard)["panels"]
    return found


def expressions(panel: Document) -> list[str]:
    """A panel's queries, with values for Grafana's variables."""
    return [target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*") for target in panel["targets"]]
