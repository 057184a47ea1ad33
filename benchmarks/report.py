"""Results as Markdown: each tool has one file of results and one section of README.md, with its provenance."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_section import bench
from benchmarks.markdown import about, table
from benchmarks.tables_section import tables

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
README: Final = HERE / "README.md"

Results = dict[str, Any]


def save(file: Path, results: Results) -> None:
    """Write the results of a tool to ``results/<tool>.json`` and its section of README.md; print the section."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    if file.parent == RESULTS:
        README.write_text(with_section(README.read_text(), file.stem, results))
        draw(file.stem, results)
    print(SECTIONS[file.stem](results))


def with_section(text: str, tool: str, results: Results) -> str:
    """``text`` with the section of ``tool``, between its two marks, replaced."""
    return replaced(text, tool, SECTIONS[tool](results))


def replaced(text: str, name: str, section: str) -> str:
    """``text`` with what is between the two marks of ``name`` replaced by ``section``."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, rest = text.split(begin, 1)
    return before + begin + section + "\n" + end + rest.split(end, 1)[1]


def draw(tool: str, results: Results) -> None:
    """Draw the plot of a tool, if it has one, next to its results."""
    from benchmarks import plots  # noqa: PLC0415 - matplotlib is slow to import

    if tool in plots.PLOTS:
        plots.PLOTS[tool](results, RESULTS / f"{tool}.png")


def stages(results: Results) -> str:
    """The time of each stage on its own."""
    rows = [(name, f"{each['median_us']:,.2f}", f"{each['mad_us']:.2f}") for name, each in results["stages"].items()]
    return about(results) + "\n\n" + table(("stage", ">µs", ">median absolute deviation"), rows)


def breakdown(results: Results) -> str:
    """Where the microseconds of one request go."""
    columns = list(results["requests"])
    names = list(dict.fromkeys(name for column in columns for name in results["requests"][column]))
    rows = [
        (name, *(f"{took_us[name]:.1f}" if name in took_us else "" for took_us in results["requests"].values()))
        for name in names
    ]
    rows.append(("**all**", *(f"**{sum(results['requests'][column].values()):.1f}**" for column in columns)))
    return about(results) + "\n\n" + table(("processor time of a request, µs", *(f">{name}" for name in columns)), rows)


def sweep(results: Results) -> str:
    """Cost over rows, bytes and connections."""
    parts = [about(results), "![cost over rows, body sizes and connections](results/sweep.png)"]
    for name, part in results["sweeps"].items():
        heads = list(part[0])
        cells = [tuple(_shown(point[head]) for head in heads) for point in part]
        parts.append(f"{name}:\n\n" + table([f">{head}" for head in heads], cells))
    return "\n\n".join([*parts, *results["verdicts"]])


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def soak(results: Results) -> str:
    """Totals and verdict of the soak."""
    rows = [(name, _shown(value)) for name, value in results["totals"].items()]
    return "\n\n".join([about(results), table(("", ">"), rows), f"**{results['verdict']}**"])


def overload(results: Results) -> str:
    """What is answered and rejected under overload."""
    return "\n\n".join([about(results), *(_points(name, points) for name, points in results["cases"].items())])


def shutdown(results: Results) -> str:
    """What is lost at SIGTERM."""
    parts = [about(results), _points("requests of all trials", results["cases"])]
    return "\n\n".join([*parts, f"**{results['verdict']}**"])


def deaths(results: Results) -> str:
    """What is lost when a worker dies or hangs."""
    parts = [about(results), _points("deaths of workers", results["cases"])]
    return "\n\n".join([*parts, f"**{results['verdict']}**"])


def capacity_reality(results: Results) -> str:
    """A real server beside the simulator of `benchmarks.capacity`, and what the simulator takes from it."""
    names = {
        "curve": "one JSON row at fixed rates",
        "refusals": "an answer and a refusal",
        "step": "a step of load",
        "bounds": "bounds on waiting",
    }
    parts = [_points(name, results[part]) for part, name in names.items()]
    scrape = results["scrape"]
    return "\n\n".join(
        [about(results), *parts, f"A scrape has {scrape['series']} series in {scrape['bytes']:,} bytes."]
    )


def _points(name: str, points: Sequence[dict[str, Any]]) -> str:
    cells = [[cell if isinstance(cell, str) else _shown(cell) for cell in point.values()] for point in points]
    heads = [head if isinstance(cell, str) else f">{head}" for head, cell in points[0].items()]
    return f"{name}:\n\n" + table(heads, cells)


def regression(results: Results) -> str:
    """Scores and training seconds of each method, over the seeds."""
    figures = {"mae": "MAE", "rmse": "RMSE", "r2": "R²", "fit_s": "training, s"}

    def cell(runs: list[dict[str, float]], figure: str) -> str:
        values = [run[figure] for run in runs]
        spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.4g}{spread}"

    rows = [
        (data, method, *(cell(runs, figure) for figure in figures))
        for data, by in results["runs"].items()
        for method, runs in by.items()
    ]
    return about(results) + "\n\n" + table(("data", "trained by", *(f">{name}" for name in figures.values())), rows)


def search(results: Results) -> str:
    """The test loss of the default and of a search on each set, and on how many the search is better."""
    rows, better = [], 0
    for name, by in results["runs"].items():
        default, found = by["default"], by["search"]
        change = found["loss"] / default["loss"] - 1
        better += change < 0
        losses = (f"{default['loss']:.4g}", f"{found['loss']:.4g}", f"{change:+.1%}")
        rows.append((name, *losses, f"{default['cpu_s']:.0f}", f"{found['cpu_s']:.0f}"))
    head = ("set", ">default, test loss", ">search, test loss", ">change", ">default, CPU s", ">search, CPU s")
    verdict = f"**The search is better on {better} of {len(rows)} sets.**"
    return "\n\n".join([about(results), table(head, rows), verdict])


def training(results: Results) -> str:
    """Epochs of each tool, the time to scikit-learn's best accuracy, and small data sets."""
    parts = [about(results), "![seconds of an epoch](results/training.png)", _epochs(results["epochs"])]
    return "\n\n".join([*parts, _fits(results["fits"])])


def _epochs(by: dict[str, list[dict[str, float]]]) -> str:
    peer = "scikit-learn"
    best = max(run["accuracy"] for run in by[peer])
    peer_s, peer_best_s = _epoch_s(by[peer]), _seconds_to(best, by[peer])
    rows = []
    for name, runs_ in by.items():
        values = [run["epoch_s"] for run in runs_[1:]]
        reached_s = _seconds_to(best, runs_)
        highest = max(run["accuracy"] for run in runs_)
        rows.append(
            (
                name,
                f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})",
                f"{peer_s / _epoch_s(runs_):.2f}",
                f"{highest:.4f}" if highest else "",
                f"{reached_s:.1f}" if reached_s else "not reached" if highest else "",
                f"{peer_best_s / reached_s:.2f}" if reached_s and peer_best_s else "",
            )
        )
    times = f"times {peer}'s speed"
    head = ("trained by", ">seconds an epoch", f">{times}", ">best accuracy", f">seconds to {best:.4f}", f">{times}")
    return table(head, rows)


def _epoch_s(runs_: list[dict[str, float]]) -> float:
    return statistics.median(run["epoch_s"] for run in runs_[1:])


def _seconds_to(accuracy: float, runs_: list[dict[str, float]]) -> float | None:
    """Seconds until ``accuracy`` was reached, at the median length of an epoch; None if it was not."""
    reached = [number for number, run in enumerate(runs_, 1) if run["accuracy"] >= accuracy]
    return reached[0] * _epoch_s(runs_) if reached else None


def _fits(by: dict[str, dict[str, list[float]]]) -> str:
    rows = []
    for name, found in by.items():
        ours, theirs = statistics.median(found["ours"]), statistics.median(found["scikit-learn"])
        rows.append((name, f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.2f}"))
    return table(("all defaults, float32", ">ours, s", ">scikit-learn, s", ">times its speed"), rows)


def accuracy(results: Results) -> str:
    """Scores of our estimators and scikit-learn's over the seeds, and whether they differ."""
    rows = []
    for name, by in results["runs"].items():
        ours, theirs = by["ours"], by["scikit-learn"]
        means = [f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" for values in (ours, theirs)]
        differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
        rows.append((name, *means, f"{statistics.mean(differences):+.4f}", _verdict(differences)))
    head = ("test rows of", ">ours", ">scikit-learn", ">difference", "significant (paired t-test, p < 0.05)")
    return about(results) + "\n\n" + table(head, rows)


def _verdict(differences: list[float]) -> str:
    if not any(differences):
        return "no: identical"
    from scipy import stats  # noqa: PLC0415 - scipy is slow to import

    p = float(stats.ttest_1samp(differences, 0).pvalue)
    return f"{'yes' if p < 0.05 else 'no'}: p = {p:.2f}"


def scoring(results: Results) -> str:
    """Rows a second, processor time and memory of each file, beside ONNX Runtime alone."""
    alone_rows = 1_000_000
    start_s = statistics.median(run["s"] for run in results["start"])
    start_cpu_s = statistics.median(run["cpu_s"] for run in results["start"])
    rows = []
    for case in results["cases"]:
        scored, alone = case["scored"], case["alone"]
        rates = [case["rows"] / run["s"] for run in scored]
        own_rate = statistics.median(alone_rows / run["s"] for run in alone)
        cpu_us = statistics.median(run["cpu_s"] for run in scored) / case["rows"] * 1e6
        own_us = statistics.median(run["cpu_s"] for run in alone)  # of a million rows
        started_us = cpu_us - start_cpu_s / case["rows"] * 1e6
        rows.append(
            (
                case["case"],
                f"{case['rows']:,}",
                f"{case['input_mb']:,.0f}",
                f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
                f"{statistics.median(rates) / own_rate:.2f}",
                f"{cpu_us:.2f}",
                f"{own_us / cpu_us:.2f}",
                f"{own_us / started_us:.2f}",
                f"{max(run['peak_mb'] for run in scored):.0f}",
            )
        )
    own = [alone_rows / run["s"] for case in results["cases"] for run in case["alone"]]
    own_us = [run["cpu_s"] for case in results["cases"] for run in case["alone"]]
    alone_line = (
        f"ONNX Runtime alone: {statistics.median(own):,.0f} rows/s ({min(own):,.0f} to {max(own):,.0f}), "
        f"{statistics.median(own_us):.2f} µs of a processor a row. A file without rows takes mlp-score "
        f"{start_s:.2f} s, and {start_cpu_s:.2f} s of a processor."
    )
    numbers = (
        *(">rows", ">input, MB", ">rows/s", ">of ONNX Runtime's", ">processor µs a row", ">of ONNX Runtime's"),
        ">without the start",
    )
    return "\n\n".join([about(results), alone_line, table(("file", *numbers, ">peak memory, MB"), rows)])


def larger_than_memory(results: Results) -> str:
    """The large table beside a part of it, and the same rows in memory and streamed."""
    head = [
        "run",
        ">training rows",
        ">epochs",
        ">s an epoch",
        ">s in all",
        ">limit MB",
        ">peak resident MB",
        ">log-loss",
        ">accuracy",
    ]
    large = [
        [
            name,
            f"{run['rows']['train']:,}",
            str(run["epochs"]),
            f"{run['epochs_s'] / run['epochs']:.1f}",
            f"{run['wall_s']:.0f}",
            "" if run["limit_mb"] is None else f"{run['limit_mb']:,}",
            f"{run['peak_rss_mb']:,.0f}",
            f"{run['log_loss']:.4f}",
            f"{run['accuracy']:.4f}",
        ]
        for name, run in results["large"].items()
    ]
    compared = [
        [
            name,
            f"{runs[0]['rows']['train']:,}",
            str(len(runs)),
            *(f"{_mean(runs, each):.4f} ± {_deviation(runs, each):.4f}" for each in ("log_loss", "accuracy")),
        ]
        for name, runs in results["compared"].items()
    ]
    return "\n\n".join(
        [
            about(results),
            table(head, large),
            "The same rows of each part, mean ± standard deviation over the seeds of the network:",
            table(["run", ">training rows", ">seeds", ">log-loss", ">accuracy"], compared),
        ]
    )


def _mean(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(statistics.mean(run[name] for run in runs))


def _deviation(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(statistics.stdev(run[name] for run in runs)) if len(runs) > 1 else 0.0


def scale(results: Results) -> str:
    """Seconds an epoch and rows a second, of one process and of Ray workers."""
    rows = []
    for name, run in results["runs"].items():
        epochs = run["epochs_s"]
        middle = statistics.median(epochs)
        rows.append(
            (
                name,
                f"{middle:.2f} ({min(epochs):.2f} to {max(epochs):.2f}, n = {len(epochs)})",
                f"{run['rows'] / middle:,.0f}",
                f"{run['total_s'] - sum(epochs):.0f}",
                f"{run['accuracy']:.4f}",
            )
        )
    head = ("trained by", ">seconds an epoch", ">rows/s", ">s of starting, preparing and warming up")
    return "\n\n".join([about(results), table((*head, ">validation accuracy"), rows)])


SECTIONS: Final[dict[str, Callable[[Results], str]]] = {
    "bench": bench,
    "stages": stages,
    "breakdown": breakdown,
    "sweep": sweep,
    "soak": soak,
    "overload": overload,
    "shutdown": shutdown,
    "deaths": deaths,
    "regression": regression,
    "tables": tables,
    "larger_than_memory": larger_than_memory,
    "search": search,
    "training": training,
    "accuracy": accuracy,
    "capacity_reality": capacity_reality,
    "scoring": scoring,
    "scale": scale,
}

if __name__ == "__main__":  # python -m benchmarks.report TOOL …: rewrite sections from their results
    for tool in sys.argv[1:] or SECTIONS:
        save(RESULTS / f"{tool}.json", json.loads((RESULTS / f"{tool}.json").read_text()))
