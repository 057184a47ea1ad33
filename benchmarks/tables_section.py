"""The results of `benchmarks.tables` as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.markdown import about, table
from benchmarks.ranks import Losses, average_ranks, ratio

Runs = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]
"""By method and set, one for each seed."""

# Not among the methods that the default is compared with: they take more of the processor.
_ABOVE: Final = ("ours, best", "CatBoost")
_OURS: Final = ("ours", "ours, best")
_MIN_ROWS: Final = 5000  # fewer test rows than a fifth of these say little about calibration


def tables(results: Mapping[str, Any]) -> str:
    """How the methods compare over all sets, the mean loss of each on each, and our calibration."""
    runs: Runs = results["runs"]
    losses = figures(runs, "loss")
    seeds = min(len(each) for by in losses.values() for each in by.values())
    measured = f"Mean loss on the test rows (log-loss, or RMSE) over {seeds} seeds:"
    parts = (about(results), _methods(runs, losses), measured, _sets(results["sets"], losses))
    return "\n\n".join((*parts, _calibration(results["sets"], runs)))


def figures(runs: Runs, name: str) -> Losses:
    """The figure ``name`` of all ``runs``."""
    return {method: {each: [run[name] for run in found] for each, found in by.items()} for method, by in runs.items()}


def _methods(runs: Runs, losses: Losses) -> str:
    """Ranks by loss, among all methods and among those with the time of the default, and by accuracy or R²."""
    plain = [method for method in runs if method not in _ABOVE]
    errors = {
        method: {name: [-score for score in each] for name, each in by.items()}
        for method, by in figures(runs, "score").items()
    }
    ranks, by_score = average_ranks(losses, list(runs)), average_ranks(errors, list(runs))
    plain_ranks, plain_by_score = average_ranks(losses, plain), average_ranks(errors, plain)
    rows = []
    for method in sorted(runs, key=ranks.__getitem__):
        cpu_s = [run["cpu_s"] for each in runs[method].values() for run in each]
        among_plain = [f"{each[method]:.2f}" if method in plain else "" for each in (plain_ranks, plain_by_score)]
        times = "" if method == "ours" else f"{ratio(losses, method, 'ours'):.3f}"
        shown_s = f"{statistics.median(cpu_s):.1f} (to {max(cpu_s):.0f})"
        rows.append((method, f"{ranks[method]:.2f}", f"{by_score[method]:.2f}", *among_plain, times, shown_s))
    head = (
        *("method", ">average rank by loss", ">by accuracy or R²", ">by loss, without best and CatBoost"),
        *(">by accuracy or R²", ">loss ÷ ours", ">CPU s"),
    )
    return table(head, rows)


def _sets(sets: Mapping[str, Mapping[str, Any]], losses: Losses) -> str:
    """The mean loss of each method on each set."""
    rows = []
    for name, known in sets.items():
        means = [statistics.mean(by[name]) for by in losses.values()]
        best = min(means)
        shown = [f"**{mean:.4g}**" if mean == best else f"{mean:.4g}" for mean in means]
        what = f"{known['classes']} classes" if known["classes"] else "a number"
        rows.append((name, known["source"], f"{known['rows']:,}", str(known["features"]), what, *shown))
    head = ("set", "rows of", ">rows", ">features", "predicts", *(f">{method}" for method in losses))
    return table(head, rows)


def _calibration(sets: Mapping[str, Mapping[str, Any]], runs: Runs) -> str:
    """Our calibration errors on the larger sets of classes, beside those that perfect calibration would show."""
    rows = []
    for name, known in sets.items():
        if not known["classes"] or known["rows"] < _MIN_ROWS:
            continue
        cells = [
            f"{statistics.mean(run[figure] for run in runs[method][name]):.4f}"
            for method in _OURS
            for figure in ("ece", "ece_by_chance")
        ]
        rows.append((name, f"{known['rows'] // 5:,}", *cells))
    head = ("set", ">test rows", *(f">{head}" for method in _OURS for head in (method, "by chance")))
    note = (
        f"Expected calibration error, the mean over the seeds, on the sets of classes with {_MIN_ROWS:,} rows or more. "
        '"By chance" is what a perfectly calibrated model with the same probabilities shows on as many test rows, as '
        "classes are drawn from probabilities:"
    )
    return f"{note}\n\n{table(head, rows)}"
