"""Draw deploy/dashboard.png: each panel's queries, from a Prometheus that scrapes two workers for a minute.

    python -m tests.deploy.draw_dashboard

Grafana is in no package that this project can install; its panels show the same and look different.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter

from tests.deploy.load import Load
from tests.deploy.observed import Prometheus, expressions, panels, prometheus
from tests.deploy.rendered import DEPLOY, ROOT, Document
from tests.service.running import Running, post

PHASE_S = 20.0
MODEL = ROOT / "models" / "fashion-mnist" / "1"
CLIENTS = 8


def requests() -> list[list[bytes]]:
    """The requests of each phase, one per client: single images, with invalid requests, and with large batches."""
    with np.load(MODEL / "golden.npz", allow_pickle=False) as golden:
        images = golden["inputs"].tolist()
    single = [post(json.dumps({"inputs": [image]}).encode()) for image in images[:CLIENTS]]
    return [single[:1], [*single, post(b"nonsense")], [single[0], *[post(json.dumps({"inputs": images}).encode())] * 2]]


GRID_COLUMNS = 24
UNITS: dict[str, Callable[[float], str]] = {
    "s": EngFormatter("s").format_data,
    "bytes": lambda value: f"{value / 2**20:.0f} MiB",
    "percentunit": lambda value: f"{100 * value:.3g} %",
    "reqps": EngFormatter("/s").format_data,
    "none": "{:.4g}".format,
}


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Running(ROOT / "models", workers=2) as server,
        prometheus(server.port, Path(folder)) as observer,
    ):
        start = time.time()
        for phase in requests():
            with ExitStack() as loads:
                for request in phase:
                    loads.enter_context(Load(server.port, request, clients=1))
                time.sleep(PHASE_S)
        draw(observer, start, time.time()).savefig(DEPLOY / "dashboard.png", dpi=72)


def draw(observer: Prometheus, start: float, end: float) -> plt.Figure:
    """All panels, with the dashboard's layout."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels())
    figure = plt.figure(figsize=(16, rows * 0.36))
    for panel in panels():
        at = panel["gridPos"]
        left, width = at["x"] / GRID_COLUMNS, at["w"] / GRID_COLUMNS
        bottom, height = 1 - (at["y"] + at["h"]) / rows, at["h"] / rows
        axes = figure.add_axes((left + 0.045, bottom + 0.025, width - 0.055, height - 0.05))
        axes.set_title(panel["title"], loc="left", fontsize=11, fontweight="bold")
        if panel["type"] == "stat":
            draw_value(axes, panel, observer)
        else:
            draw_series(axes, panel, observer, start, end)
    return figure


def draw_value(axes: Axes, panel: Document, observer: Prometheus) -> None:
    """One number on the colour of its threshold."""
    (expression,) = expressions(panel)
    ((_, value),) = observer.query(expression)
    defaults = panel["fieldConfig"]["defaults"]
    reached = [step["color"] for step in defaults["thresholds"]["steps"] if value >= (step["value"] or 0)]
    axes.set_facecolor({"green": "#56a64b", "orange": "#ff9830", "red": "#e02f44"}[reached[-1]])
    axes.text(0.5, 0.45, UNITS[defaults["unit"]](value), ha="center", va="center", fontsize=22, color="white")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_series(axes: Axes, panel: Document, observer: Prometheus, start: float, end: float) -> None:
    """Each series over time, stacked if the panel says so."""
    # Scrapes are 1 s apart, not 15 s, and Grafana's rate interval is four scrapes.
    lines = [
        (legend(target["legendFormat"], labels), np.array(values, float))
        for target, expression in zip(panel["targets"], expressions(panel), strict=True)
        for labels, values in observer.query_range(expression.replace("[1m]", "[5s]"), start, end, 1)
    ]
    if not lines:
        axes.text(0.5, 0.5, "No data", ha="center", va="center")
        axes.set_axis_off()
        return
    times = np.unique(np.concatenate([values[:, 0] for _, values in lines]))
    heights = [np.interp(times, *values.T, left=np.nan, right=np.nan) for _, values in lines]
    if "stacking" in panel["fieldConfig"]["defaults"]["custom"]:
        axes.stackplot(times - start, np.nan_to_num(heights), labels=[name for name, _ in lines], alpha=0.7)
    else:
        for (name, _), height in zip(lines, heights, strict=True):
            axes.plot(times - start, height, label=name)
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_ylim(0, defaults.get("max"))
    axes.set_xlim(0, end - start)
    unit = UNITS[defaults["unit"]]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
    axes.xaxis.set_major_formatter(EngFormatter("s"))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", ncols=2)


def legend(pattern: str, labels: dict[str, str]) -> str:
    """Replace each ``{{label}}``, as Grafana does."""
    for name, value in labels.items():
        pattern = pattern.replace(f"{{{{{name}}}}}", value)
    return pattern


if __name__ == "__main__":
    main()
