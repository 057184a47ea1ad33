"""The plots of README.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.comparisons import NGINX

_OURS: Final = "#0b7285"
_OTHERS: Final = "#adb5bd"
_MORE: Final = ("#0b7285", "#e8590c", "#868e96")


def bench(results: dict[str, Any], file: Path) -> None:
    """A bar for each server that reads its requests: one-row requests per second over 64 connections."""
    found = {
        f"{line['server']} · {line['body']}": statistics.median(run["requests_s"] for run in line["runs"])
        for line in reversed(results["lines"])  # of a server that was compared with several, the first comparison
        if (line["rows"], line["connections"]) == (1, 64) and line["server"] != NGINX
    }
    names = sorted(found, key=lambda name: found[name])
    figure, axes = plt.subplots(figsize=(8, 0.36 * len(names) + 1), layout="constrained")
    colours = [_OURS if name.startswith("ours") else _OTHERS for name in names]
    bars = axes.barh(names, [found[name] for name in names], color=colours)
    axes.bar_label(bars, [f"{found[name]:,.0f}" for name in names], padding=3, fontsize=8)
    axes.set_xlabel("one-row requests per second, 64 connections, server on one processor")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    _save(figure, file)


def sweep(results: dict[str, Any], file: Path) -> None:
    """A panel for each sweep, on logarithmic axes, where a linear cost has slope one.

    Comparisons of only two points are in the table alone.
    """
    sweeps = {name: points for name, points in results["sweeps"].items() if len(points) > 2}
    figure, panels = plt.subplots(1, len(sweeps), figsize=(4 * len(sweeps), 3.4), layout="constrained", squeeze=False)
    for axes, (name, points) in zip(panels[0], sweeps.items(), strict=True):
        over, *figures = points[0]
        at = [point[over] for point in points]
        for head, colour in zip([head for head in figures if head.endswith("ms")], _MORE, strict=False):
            axes.loglog(at, [point[head] for point in points], "o-", color=colour, ms=3, label=head)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(over)
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def training(results: dict[str, Any], file: Path) -> None:
    """A bar for each tool: seconds of an epoch."""
    found = {name: statistics.median(run["epoch_s"] for run in runs[1:]) for name, runs in results["epochs"].items()}
    names = sorted(found, key=lambda name: -found[name])
    figure, axes = plt.subplots(figsize=(10, 0.36 * len(names) + 1), layout="constrained")
    bars = axes.barh(
        names, [found[name] for name in names], color=[_OURS if "ours" in name else _OTHERS for name in names]
    )
    axes.bar_label(bars, [f"{found[name]:.2f}" for name in names], padding=3, fontsize=8)
    axes.set_xlabel("seconds an epoch, the median")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)


PLOTS: Final[dict[str, Callable[[dict[str, Any], Path], None]]] = {"bench": bench, "sweep": sweep, "training": training}
