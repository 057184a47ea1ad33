"""The results of `benchmarks.bench` as Markdown."""

from __future__ import annotations

import statistics

from benchmarks.intervals import Interval
from benchmarks.markdown import about, table
from benchmarks.targets import TARGETS, Results, pairs, ratio


def bench(results: Results) -> str:
    """Targets, ratios of pairs, each server by itself, and the medians of every case."""
    parts = [about(results), *_left_out(results), "![requests per second of each server](results/bench.png)"]
    parts += [_targets(results), _ratios(results), _alone(results), _cases(results)]
    return "\n\n".join(part for part in parts if part)


def _left_out(results: Results) -> list[str]:
    return [f"**{name} was left out: {reason}.**" for name, reason in results["left_out"].items()]


def _targets(results: Results) -> str:
    rows = []
    for target in TARGETS:
        found = target.found(results)
        if found is None:
            cells = ("not measured", "", "")
        else:
            cells = (f"{found.median:,.4g}", _bounds(found), "met" if target.met(found) else "**missed**")
        sign = "≤" if target.at_most else "≥"
        rows.append((target.claim, f"{sign} {target.limit:,} {target.unit}", *cells))
    return table(("ours is int8 unless noted", "target", ">measured", ">95 %", ""), rows)


def _bounds(interval: Interval) -> str:
    return f"{interval.low:,.4g} to {interval.high:,.4g}"


def _ratios(results: Results) -> str:
    rows = []
    for first, second in pairs(results):
        found = ratio(first["runs"], second["runs"])
        rows.append(
            (
                first["server"],
                second["server"],
                first["body"] if first["body"] == second["body"] else f"{first['body']}, {second['body']}",
                f"{first['rows']:,}",
                f"{first['connections']}",
                f"{found.median:,.4g}",
                _bounds(found),
                f"{len(first['runs'])}",
            )
        )
    numbers = (">rows", ">connections", ">times its requests/s", ">95 %", ">rounds")
    return table(("server", "beside", "body", *numbers), rows) if rows else ""


def _alone(results: Results) -> str:
    def spread(runs: list[dict[str, float]], figure: str, form: str) -> str:
        values = [run[figure] for run in runs]
        return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}}, n = {len(values)})"

    rows = [
        (name, spread(each, "start_s", ".2f"), spread(each, "memory_mb", ".0f"))
        for name, each in results["alone"].items()
    ]
    return table(("server by itself", ">start to first answer, s", ">memory after the load (PSS), MB"), rows)


def _cases(results: Results) -> str:
    rows = []
    for line in results["lines"]:
        values = {figure: [run[figure] for run in line["runs"]] for figure in line["runs"][0]}
        middle = {figure: statistics.median(found) for figure, found in values.items()}
        rows.append(
            (
                line["server"],
                line["beside"],
                line["body"],
                f"{line['rows']:,}",
                f"{line['connections']}",
                f"{middle['requests_s']:,.0f}",
                f"{middle['requests_s'] * line['rows']:,.0f}",
                f"{middle['p50_ms']:.2f}",
                f"{middle['p99_ms']:.2f}",
                f"{middle['processor_us']:.0f}",
                f"{sum(values['failed']):.0f}",
            )
        )
    numbers = (">rows", ">connections", ">requests/s", ">rows/s", ">p50 ms", ">p99 ms")
    head = ("medians of", "beside", "body", *numbers, ">processor µs a request", ">failed")
    return table(head, rows)
