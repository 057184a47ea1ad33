"""What the manifests in deploy/ say about pods, their autoscaler and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.capacity import autoscaler
from benchmarks.provenance import ROOT
from service.settings import Settings

DEPLOY: Final = ROOT / "deploy"


@dataclass(frozen=True)
class Deployed:
    """CPUs of a pod, its autoscaler, the server's bounds, the delay of its probes, and how often it is scraped."""

    request_cpus: float
    limit_cpus: float
    autoscaler: autoscaler.Settings
    max_queue_s: float
    connection_age_s: float
    probes_s: float
    scrape_s: float


def base(tolerance: float = 0.1) -> Deployed:
    """The figures of ``deploy/base``, and of the pod monitor for the scrapes."""
    (server,) = _read(DEPLOY / "base/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    lines = (DEPLOY / "base/settings.env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    (endpoint,) = _read(DEPLOY / "components/monitoring/pod-monitor.yaml")["spec"]["podMetricsEndpoints"]
    return Deployed(
        request_cpus=float(server["resources"]["requests"]["cpu"]),
        limit_cpus=float(server["resources"]["limits"]["cpu"]),
        autoscaler=autoscaler.Settings.of(_read(DEPLOY / "base/autoscaler.yaml"), tolerance),
        max_queue_s=float(_setting(env, "max_queue_s")),
        connection_age_s=float(_setting(env, "max_connection_age_s")),
        # Each probe finds a pod ready half its period after it is, on average.
        probes_s=sum(server[probe]["periodSeconds"] / 2 for probe in ("startupProbe", "readinessProbe")),
        scrape_s=float(endpoint["interval"].removesuffix("s")),
    )


def _setting(env: dict[str, str], name: str) -> Any:
    return env.get(f"MLP_{name.upper()}", Settings.model_fields[name].default)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found
