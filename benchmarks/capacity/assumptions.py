"""What no benchmark of this repository measures: each figure with its unit and its source, settable by an option."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field, fields
from typing import Any


def _assumed(value: float, unit: str, source: str) -> Any:
    return field(default=value, metadata={"unit": unit, "source": source})


_PRICES = "AWS on demand, us-east-1, as reported in June 2026"
_CLUSTER = "Kubernetes' documentation, large clusters"


@dataclass(frozen=True)
class Assumptions:
    """Prices, times and limits of a cluster; see each field's metadata for unit and source."""

    vcpu_hour: float = _assumed(0.0408, "USD", f"half an m7g.large (ARM); {_PRICES}")
    gpu_hour: float = _assumed(0.843, "USD", f"a g5.xlarge (A10G, 1.006) less four vCPUs; {_PRICES}")
    overhead: float = _assumed(0.1, "share of a node's vCPUs", "assumed: kubelet, system, DaemonSets")
    schedule_s: float = _assumed(5, "s", "Kubernetes' objective for a pod's start without its image")
    image_mb: float = _assumed(250, "MB", "assumed: the image for CPUs, compressed")
    pull_mb_s: float = _assumed(50, "MB/s", "assumed: a node's pull and unpacking")
    node_start_s: float = _assumed(90, "s", "assumed: from an unschedulable pod to a node that is ready")
    sync_s: float = _assumed(15, "s", "default of kube-controller-manager")
    tolerance: float = _assumed(0.1, "share", "default of kube-controller-manager")
    window_s: float = _assumed(15, "s", "metrics-server's default resolution, over which CPU is averaged")
    metrics_lag_s: float = _assumed(10, "s", "assumed: from the end of a window until the autoscaler can read it")
    requests_per_connection_s: float = _assumed(10, "requests/s", "assumed: a client's rate over one connection")
    proxy_core_s: float = _assumed(20_000, "requests/s", "assumed: an HTTP proxy's core")
    node_vcpus: float = _assumed(16, "vCPUs", "assumed")
    node_gbit_s: float = _assumed(10, "Gbit/s", "assumed: lasting bandwidth of such a node")
    most_nodes: float = _assumed(5000, "nodes", _CLUSTER)
    most_pods: float = _assumed(150_000, "pods", _CLUSTER)
    prometheus_series: float = _assumed(2_000_000, "series", "assumed: comfortable for one Prometheus")
    registry_gbit_s: float = _assumed(10, "Gbit/s", "assumed: one registry")


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each assumption."""
    group = parser.add_argument_group("assumptions")
    for each in fields(Assumptions):
        unit, source = each.metadata["unit"], each.metadata["source"]
        text = f"{unit} (default: {each.default:g}; {source})".replace("%", "%%")
        group.add_argument(f"--{each.name.replace('_', '-')}", type=float, default=each.default, help=text)


def given(options: argparse.Namespace) -> Assumptions:
    """The assumptions of a command line. Raises `ValueError` for values that are not positive, all at once."""
    values = {each.name: getattr(options, each.name) for each in fields(Assumptions)}
    wrong = [f"{name} is {value:g}" for name, value in values.items() if not 0 < value < math.inf]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}; expected more than 0")
    if values["overhead"] >= 1:
        raise ValueError(f"overhead is {values['overhead']:g}, expected less than 1")
    return Assumptions(**values)


def listed(assumptions: Assumptions) -> list[str]:
    """Option, value, unit and source of each."""
    return [
        f"`--{each.name.replace('_', '-')}` {getattr(assumptions, each.name):,.10g} {each.metadata['unit']}"
        f" ({each.metadata['source']})"
        for each in fields(Assumptions)
    ]
