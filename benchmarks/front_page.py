"""The two tables of the project's README, made from results/.

    python -m benchmarks.front_page

rewrites them after `make bench` or `python -m benchmarks.tables`; a test compares README and results.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.markdown import table
from benchmarks.ranks import average_ranks
from benchmarks.ranks import ratio as loss_ratio
from benchmarks.report import RESULTS, Results
from benchmarks.tables_section import figures
from benchmarks.targets import BARE, NOT_COMPILED, OURS, TARGETS, compared, is_measured, median

README: Final = Path(__file__).parents[1] / "README.md"


class Case(NamedTuple):
    """A line of the table of servers: ``server`` and ``body`` as in the results, and how the README writes them."""

    name: str
    server: str
    body: str
    body_name: str


CASES: Final = (
    Case("**this server**", "ours int8", "raw", "raw"),
    Case("**this server**", "ours int8", "json", "JSON"),
    Case("this server, not compiled", NOT_COMPILED, "json", "JSON"),
    Case("bare uvicorn: reads the body, answers two bytes", BARE, "json", "JSON"),
    Case("mosec", "mosec msgpack", "msgpack", "msgpack"),
    Case("mosec", "mosec JSON", "json", "JSON"),
    Case("MLflow", "MLflow", "mlflow", "JSON"),
    Case("Ray Serve", "Ray Serve", "json", "JSON"),
    Case("MLServer, the protocol of Triton", "MLServer", "oip", "JSON"),
    Case("FastAPI + torch", "FastAPI + torch", "json", "JSON"),
    Case("LitServe", "LitServe", "json", "JSON"),
    Case("BentoML", "BentoML", "json", "JSON"),
)
NAMES: Final = {
    "ours, best": "**this project**, `--recipe best`",
    "ours": "**this project**, by default",
    "HistGradientBoosting": "scikit-learn's HistGradientBoosting",
    "scikit-learn MLP": "scikit-learn's MLP",
}


def servers(results: Results) -> str:
    """Requests per second, latency, start and memory of this server and its peers."""
    rows = []
    for case in CASES:
        one = (case.server, case.body, 1, 64)
        alone = results["alone"].get(case.server)
        if alone is None or not is_measured(results, *one):
            continue
        rows.append(
            (
                case.name,
                case.body_name,
                f"{median(results, 'requests_s', *one):,.0f}",
                _times(results, case),
                f"{median(results, 'p50_ms', *one):.1f}",
                f"{median(results, 'p99_ms', *one):.1f}",
                _rows_s(results, case),
                f"{statistics.median(run['start_s'] for run in alone):.1f}",
                f"{statistics.median(run['memory_mb'] for run in alone):.0f}",
            )
        )
    heads = (
        "requests/s",
        "this server's ÷ its (95 %)",
        "p50, ms",
        "p99, ms",
        "rows/s in requests of 32",
        "start, s",
        "memory, MB",
    )
    verdicts = [target.met(found) for target in TARGETS if (found := target.found(results))]
    rounds = results["provenance"]["runs"].partition(" of ")[0]
    notes = (
        "One row a request from 64 connections, 32 rows from 16; each server has one processor, the load another.",
        f"Medians of {rounds}: {_provenance(results)}.",
        f"{verdicts.count(False)} of the {len(verdicts)} targets that we set ourselves were missed.",
    )
    return table(("server", "body", *(f">{head}" for head in heads)), rows) + "\n\n" + "\n".join(notes)


def _rows_s(results: Results, case: Case) -> str:
    """Rows per second in requests of 32; bare uvicorn answers no rows."""
    many = (case.server, case.body, 32, 16)
    if case.server == BARE or not is_measured(results, *many):
        return ""
    return f"{32 * median(results, 'requests_s', *many):,.0f}"


def _times(results: Results, case: Case) -> str:
    """How many times as many requests as ``case`` this server answers beside it, with the same or the nearest body."""
    if case.server == OURS:
        return ""
    found = compared(results, OURS, "raw" if case.body == "msgpack" else "json", 1, 64, case.server)
    return f"{found.median:.3g} ({found.low:.3g} to {found.high:.3g})"


def tables(results: Results) -> str:
    """Ranks of the methods over the real tables."""
    runs: dict[str, dict[str, list[dict[str, float]]]] = results["runs"]
    losses = figures(runs, "loss")
    ranks = average_ranks(losses, list(runs))
    rows = []
    for method in sorted(runs, key=ranks.__getitem__):
        times = loss_ratio(losses, method, "ours")
        cpu_s = statistics.median(run["cpu_s"] for each in runs[method].values() for run in each)
        rows.append((NAMES.get(method, method), f"{ranks[method]:.2f}", f"{times:.3f}", f"{cpu_s:.1f}"))
    head = ("method", f">average rank over {len(results['sets'])} tables", ">loss ÷ ours", ">CPU s to train")
    return table(head, rows) + f"\n\n{_provenance(results)}."


def _provenance(results: Results) -> str:
    about = results["provenance"]
    machine = ", ".join(about["machine"].split(", ")[:2])
    return f"`{about['command']}`, {about['time'][:10]}, commit {about['commit'][:7]}, {machine}"


SECTIONS: Final[dict[str, tuple[str, Callable[[Results], str]]]] = {
    "servers": ("bench", servers),
    "tables": ("tables", tables),
}


def with_sections(text: str) -> str:
    """``text`` of the README, its tables made anew from the results."""
    for name, (tool, section) in SECTIONS.items():
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        results = json.loads((RESULTS / f"{tool}.json").read_text())
        before, rest = text.split(begin, 1)
        text = before + begin + section(results) + end + rest.split(end, 1)[1]
    return text


def write() -> None:
    """Rewrite the tables of the README."""
    README.write_text(with_sections(README.read_text()))


if __name__ == "__main__":
    write()
