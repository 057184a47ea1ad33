"""The figures as a table and a plot in benchmarks/README.md, with what they were measured on."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BEGIN, END = "<!-- begin: written by benchmarks/report.py -->", "<!-- end -->"
LIBRARIES = ("uvicorn", "uvloop", "httptools", "fastapi", "onnxruntime", "numpy", "orjson", "pysimdjson")


def provenance(rounds: int, seconds: float) -> dict[str, str]:
    """Machine, versions, commit, and how often."""
    cpu = next(
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=HERE
    )
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True, cwd=HERE)
    return {
        "machine": f"{cpu}, {platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "commit": commit.stdout.strip() + (" and uncommitted changes" if changed.stdout.strip() else ""),
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "runs": f"median of {rounds} interleaved runs of {seconds:g} s each; the spread is their minimum and maximum",
    }


def table(results: dict[str, Any]) -> str:
    """Every case in one Markdown table, with its ratio to bare uvicorn under the same body and connections."""
    bare = {
        (line["body"], line["connections"]): line["requests_s"]
        for line in results["lines"]
        if line["server"] == "bare uvicorn"
    }
    head = "| server | body | rows | connections | requests/s | spread | rows/s | of bare | p50 ms | p99 ms | failed |"
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for line in results["lines"]:
        base = bare.get((line["body"], line["connections"])) if line["rows"] == 1 else None
        ratio = f"{line['requests_s'] / base:.2f}" if base else ""
        low, high = line["spread_s"]
        lines.append(
            f"| {line['server']} | {line['body']} | {line['rows']} | {line['connections']} | {line['requests_s']:,.0f} "
            f"| {low:,.0f} to {high:,.0f} | {line['requests_s'] * line['rows']:,.0f} | {ratio} "
            f"| {line['p50_ms']:.2f} | {line['p99_ms']:.2f} | {line['failed']:.0f} |"
        )
    return "\n".join(lines)


def plot(results: dict[str, Any], file: Path) -> None:
    """One bar a server: one-row requests per second with 64 connections."""
    import matplotlib as mpl  # noqa: PLC0415 - only the drawing needs it

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    chosen = [line for line in results["lines"] if line["rows"] == 1 and line["connections"] == 64]
    chosen.sort(key=lambda line: line["requests_s"])
    names = [f"{line['server']} · {line['body']}" for line in chosen]
    values = [line["requests_s"] for line in chosen]
    colours = ["#0b7285" if name.startswith("ours") else "#adb5bd" for name in names]
    figure, axes = plt.subplots(figsize=(8, 0.36 * len(names) + 1), layout="constrained")
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axes.set_xlabel("one-row requests per second, 64 connections, one processor")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def write(results_file: Path) -> None:
    """Put table and plot into benchmarks/README.md, between its two marks."""
    results = json.loads(results_file.read_text())
    plot(results, HERE / "requests_s.png")
    facts = "\n".join(f"- {name}: {value}" for name, value in results["provenance"].items())
    servers = "\n".join(
        f"| {name} | {each['start_s']:.2f} | {each['memory_mb']:.0f} |" for name, each in results["servers"].items()
    )
    section = f"""{BEGIN}
{facts}

![requests per second of each server](requests_s.png)

{table(results)}

| server | start to listening, s | memory after the runs (PSS), MB |
|---|--:|--:|
{servers}
{END}"""
    readme = HERE / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN, 1)
    readme.write_text(before + section + rest.split(END, 1)[1])
    print(section)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
