"""The pictures of docs/capacity.md: a step of load over time, and CPU over load."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.capacity.costs import BODIES, read, turn_cost
from benchmarks.capacity.manifests import Deployed
from benchmarks.capacity.scenarios import BEFORE_S, FACTOR, LOAD_S, Plan, stepped, variants
from benchmarks.capacity.steady import pod, rate_at

_SHOWN: Final = ("deploy/base, nodes full", "deploy/base, nodes have room", "advised, nodes have room")
_COLOURS: Final = {"load": "#212529", "capacity": "#0b7285", "refused": "#e8590c", "pods": "#868e96"}
_SPAN_S: Final = (-30, 360)


def step(plan: Plan, file: Path) -> None:
    """Load, capacity and refusals above, pods below; a column for each of three settings."""
    clusters = variants(plan)
    figure, panels = plt.subplots(
        2, len(_SHOWN), figsize=(11, 5), sharex=True, sharey="row", height_ratios=(2, 1), layout="constrained"
    )
    for (above, below), name in zip(panels.T, _SHOWN, strict=True):
        cluster = clusters[name]
        found = stepped(cluster, LOAD_S)
        at_s = np.arange(len(found.offered)) * found.step_s - BEFORE_S
        ready = np.array(found.ready)
        above.plot(at_s, np.array(found.offered) / 1e3, color=_COLOURS["load"], label="load")
        above.plot(
            at_s, ready * cluster.pod.capacity_s / 1e3, color=_COLOURS["capacity"], label="capacity of ready pods"
        )
        above.fill_between(at_s, np.array(found.refused) / 1e3, color=_COLOURS["refused"], alpha=0.7, label="refused")
        below.plot(at_s, found.replicas, color=_COLOURS["pods"], label="pods")
        below.plot(at_s, ready, color=_COLOURS["capacity"], label="of them ready")
        above.set_title(name, fontsize=10)
        below.set_xlabel(f"s after a step to {FACTOR} times the load")
        above.set_xlim(*_SPAN_S)
    panels[0][0].set_ylabel("thousand requests/s (32 JSON rows)")
    panels[0][0].set_ylim(0, 1.4 * FACTOR * LOAD_S / 1e3)
    panels[1][0].set_ylabel("pods")
    _finish(figure, panels[:, 0], panels.ravel(), file)


def cpu(folder: Path, deployed: Deployed, file: Path) -> None:
    """CPU that a pod uses, over its load as a share of what it could answer, and where the target is."""
    bench = read(folder, "bench")
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    share = np.linspace(0, 1, 400)
    for (body, rows), colour in zip(BODIES, plt.get_cmap("viridis")(np.linspace(0, 0.85, len(BODIES))), strict=True):
        each = pod(deployed, turn_cost(bench, body, rows), deployed.limit_cpus)
        label = f"{body}, {rows} row{'s' * (rows > 1)}"
        axes.plot(100 * share, each.used_cpus(share * each.capacity_s), color=colour, label=label)
        target = deployed.autoscaler.target
        axes.plot(100 * rate_at(each, target) / each.capacity_s, target * each.request_cpus, "o", color=colour, ms=5)
    axes.axhline(deployed.autoscaler.target * deployed.request_cpus, color="#adb5bd", lw=1, zorder=0)
    axes.annotate("the autoscaler's target", (99, deployed.autoscaler.target + 0.03), ha="right", fontsize=8)
    axes.set_xlabel("load, % of what the pod can answer")
    axes.set_ylabel(f"CPUs used by a pod of {deployed.limit_cpus:g}")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 1.05 * deployed.limit_cpus)
    _finish(figure, [axes], [axes], file)


def _finish(figure: Any, with_legend: Any, panels: Any, file: Path) -> None:
    for axes in with_legend:
        axes.legend(fontsize=8, frameon=False)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
