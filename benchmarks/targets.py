"""The performance targets of the server, and whether results meet them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Results = dict[str, Any]
OURS: Final = "ours int8"
BARE: Final = "bare uvicorn"
MSGPACK: Final = "mosec msgpack"
TWO: Final = "ours int8, 2 workers"


@dataclass(frozen=True)
class Target:
    """A claim, its limit, and how to read it from the results; ``at_most`` if less is better."""

    claim: str
    limit: float
    unit: str
    measured: Callable[[Results], float]
    at_most: bool = False

    def met(self, results: Results) -> bool:
        """Whether the results meet the target."""
        found = self.measured(results)
        return found <= self.limit if self.at_most else found >= self.limit


def runs(results: Results, server: str, body: str, rows: int, connections: int) -> list[dict[str, float]]:
    """The runs of one case; raises `KeyError` if it was not measured."""
    wanted = {"server": server, "body": body, "rows": rows, "connections": connections}
    for line in results["lines"]:
        if all(line[key] == value for key, value in wanted.items()):
            found: list[dict[str, float]] = line["runs"]
            return found
    raise KeyError(f"{wanted} was not measured")


def median(results: Results, figure: str, server: str, body: str, rows: int, connections: int) -> float:
    """The median of one figure over the runs of a case."""
    return statistics.median(run[figure] for run in runs(results, server, body, rows, connections))


def ratio(case: list[dict[str, float]], base: list[dict[str, float]]) -> float:
    """The median of the ratios of requests per second, round by round."""
    return statistics.median(ours["requests_s"] / its["requests_s"] for ours, its in zip(case, base, strict=True))


def _of(server: str, other: str, body: str, other_body: str, rows: int, connections: int) -> Callable[[Results], float]:
    return lambda results: ratio(
        runs(results, server, body, rows, connections), runs(results, other, other_body, rows, connections)
    )


def _of_best_peer(body: str, bodies: set[str]) -> Callable[[Results], float]:
    """32-row requests relative to the fastest peer with one of the ``bodies``."""

    def measured(results: Results) -> float:
        mine = runs(results, OURS, body, 32, 16)
        peers = [line for line in results["lines"] if line["body"] in bodies and not line["server"].startswith("ours")]
        return min(ratio(mine, line["runs"]) for line in peers if (line["rows"], line["connections"]) == (32, 16))

    return measured


def _rows_s(body: str) -> Callable[[Results], float]:
    return lambda results: 32 * median(results, "requests_s", OURS, body, 32, 16)


def _spread(body: str) -> Callable[[Results], float]:
    return lambda results: statistics.median(run["p99_ms"] / run["p50_ms"] for run in runs(results, OURS, body, 1, 64))


def _over_bare_us(results: Results) -> float:
    mine, bare = runs(results, OURS, "json", 1, 1), runs(results, BARE, "json", 1, 1)
    return 1e3 * statistics.median(ours["p50_ms"] - its["p50_ms"] for ours, its in zip(mine, bare, strict=True))


def _alone(figure: str) -> Callable[[Results], float]:
    return lambda results: statistics.median(each[figure] for each in results["alone"][OURS])


TARGETS: Final = (
    Target("JSON, one row, 64 connections", 0.7, "times bare uvicorn", _of(OURS, BARE, "json", "json", 1, 64)),
    Target("JSON, one row, 64 connections", 3, "times mosec JSON", _of(OURS, "mosec JSON", "json", "json", 1, 64)),
    Target("raw, one row, 64 connections", 1, "times bare uvicorn", _of(OURS, BARE, "raw", "raw", 1, 64)),
    Target(
        "raw, one row, 64 connections", 1.4, "times mosec msgpack", _of(OURS, "mosec msgpack", "raw", "msgpack", 1, 64)
    ),
    Target("JSON, one row, 1 connection: p50 over bare uvicorn's", 90, "µs", _over_bare_us, at_most=True),
    Target("raw, 32 rows, 16 connections", 150_000, "rows/s", _rows_s("raw")),
    Target("JSON, 32 rows, 16 connections", 56_000, "rows/s", _rows_s("json")),
    Target("raw, 32 rows, 16 connections", 2, "times best peer", _of_best_peer("raw", {"json", "oip", "msgpack"})),
    Target("JSON, 32 rows, 16 connections", 4, "times best JSON peer", _of_best_peer("json", {"json", "oip"})),
    Target("JSON, one row, 64 connections: p99", 3, "times p50", _spread("json"), at_most=True),
    Target("raw, one row, 64 connections: p99", 3, "times p50", _spread("raw"), at_most=True),
    Target("two workers, JSON, 32 rows, 64 connections", 1.8, "times one", _of(TWO, OURS, "json", "json", 32, 64)),
    Target("start of the process to its first answer", 1, "s", _alone("start_s"), at_most=True),
    Target("memory of a worker", 120, "MB", _alone("memory_mb"), at_most=True),
)
