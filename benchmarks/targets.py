"""The performance targets of the server, and whether results meet them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import intervals
from benchmarks.intervals import Interval
from benchmarks.paired import Run

Results = dict[str, Any]
Runs = list[Run]
OURS: Final = "ours int8"
BARE: Final = "bare uvicorn"
MOSEC: Final = "mosec JSON"
MSGPACK: Final = "mosec msgpack"
TWO: Final = "ours int8, 2 workers"
NOT_COMPILED: Final = "ours int8, not compiled"
NAMED: Final = "ours, by name"
MLFLOW: Final = "MLflow"
LIGHTGBM: Final = "FastAPI + LightGBM"
JSON_PEERS: Final = (MOSEC, "MLServer", MLFLOW, "LitServe", "BentoML", "Ray Serve", "FastAPI + torch")
# The format of the requests of servers that take another one than ours beside them.
FORMATS: Final = {MSGPACK: "msgpack", "MLServer": "oip", MLFLOW: "mlflow"}
# The commit that some targets are relative to, and the name of its server.
BASELINE: Final = "61d748a"
BEFORE: Final = f"ours int8 of {BASELINE}"


@dataclass(frozen=True)
class Target:
    """A claim, its limit, and how to read it from the results; ``at_most`` if less is better."""

    claim: str
    limit: float
    unit: str
    measured: Callable[[Results], Interval]
    at_most: bool = False

    def found(self, results: Results) -> Interval | None:
        """What the results have of it; None if it was not measured."""
        with suppress(KeyError, ValueError):
            return self.measured(results)
        return None

    def met(self, found: Interval) -> bool:
        """Whether the median that was found meets the target."""
        return found.median <= self.limit if self.at_most else found.median >= self.limit


def runs(results: Results, server: str, body: str, rows: int, connections: int, beside: str | None = None) -> Runs:
    """The runs of a server ``beside`` another; without it those of the first comparison that has them.

    Raises `KeyError` if the case was not measured.
    """
    wanted = {"server": server, "body": body, "rows": rows, "connections": connections}
    for line in results["lines"]:
        if all(line[key] == value for key, value in wanted.items()) and beside in (None, line["beside"]):
            found: Runs = line["runs"]
            return found
    raise KeyError(f"{wanted} was not measured")


def is_measured(results: Results, server: str, body: str, rows: int, connections: int) -> bool:
    """Whether the results have runs of a case."""
    try:
        return bool(runs(results, server, body, rows, connections))
    except KeyError:
        return False


def pairs(results: Results) -> Iterator[tuple[Results, Results]]:
    """The lines of the first and the second server of each comparison."""
    return zip(results["lines"][::2], results["lines"][1::2], strict=True)


def median(results: Results, figure: str, server: str, body: str, rows: int, connections: int) -> float:
    """The median of one figure over the runs of a case."""
    return statistics.median(run[figure] for run in runs(results, server, body, rows, connections))


def ratio(first: Sequence[Run], second: Sequence[Run]) -> Interval:
    """The ratio of the first server's requests per second to the second's, round by round."""
    return intervals.of_ratios(
        [(its["requests_s"], ours["requests_s"]) for ours, its in zip(first, second, strict=True)]
    )


def compared(results: Results, server: str, body: str, rows: int, connections: int, other: str) -> Interval:
    """The ratio of a server's requests per second to those of the ``other`` that was measured beside it."""
    first = runs(results, server, body, rows, connections, other)
    return ratio(first, runs(results, other, FORMATS.get(other, body), rows, connections, server))


def _of(server: str, other: str, body: str, rows: int, connections: int) -> Callable[[Results], Interval]:
    return lambda results: compared(results, server, body, rows, connections, other)


def _of_best_json_peer(results: Results) -> Interval:
    """32-row requests relative to the fastest of the peers with JSON that were measured."""
    found = []
    for name in JSON_PEERS:
        with suppress(KeyError):
            found.append(compared(results, OURS, "json", 32, 16, name))
    return min(found)


def _rows_s(server: str, body: str, rows: int, connections: int) -> Callable[[Results], Interval]:
    return lambda results: intervals.of(
        [rows * run["requests_s"] for run in runs(results, server, body, rows, connections)]
    )


def _spread(body: str) -> Callable[[Results], Interval]:
    return lambda results: intervals.of([run["p99_ms"] / run["p50_ms"] for run in runs(results, OURS, body, 1, 64)])


def _over_bare_us(results: Results) -> Interval:
    mine, bare = runs(results, OURS, "json", 1, 1, BARE), runs(results, BARE, "json", 1, 1, OURS)
    return intervals.of([1e3 * (ours["p50_ms"] - its["p50_ms"]) for ours, its in zip(mine, bare, strict=True)])


def _alone(figure: str) -> Callable[[Results], Interval]:
    return lambda results: intervals.of([each[figure] for each in results["alone"][OURS]])


TARGETS: Final = (
    Target("JSON, one row, 64 connections", 0.75, "times bare uvicorn", _of(OURS, BARE, "json", 1, 64)),
    Target("JSON, one row, 64 connections", 5, "times mosec JSON", _of(OURS, MOSEC, "json", 1, 64)),
    Target("raw, one row, 64 connections", 1.05, "times bare uvicorn", _of(OURS, BARE, "raw", 1, 64)),
    Target("raw, one row, 64 connections", 1.5, "times mosec msgpack", _of(OURS, MSGPACK, "raw", 1, 64)),
    Target("JSON, one row, 1 connection: p50 over bare uvicorn's", 80, "µs", _over_bare_us, at_most=True),
    Target("raw, 32 rows, 16 connections", 1.25, f"times commit {BASELINE}", _of(OURS, BEFORE, "raw", 32, 16)),
    Target("JSON, 32 rows, 16 connections", 1.3, f"times commit {BASELINE}", _of(OURS, BEFORE, "json", 32, 16)),
    Target("raw, 32 rows, 16 connections", 2, "times mosec msgpack", _of(OURS, MSGPACK, "raw", 32, 16)),
    Target("JSON, 32 rows, 16 connections", 4, "times best JSON peer", _of_best_json_peer),
    Target("JSON, one row, 64 connections: p99", 2.5, "times p50", _spread("json"), at_most=True),
    Target("raw, one row, 64 connections: p99", 2.5, "times p50", _spread("raw"), at_most=True),
    Target("JSON by name, one row, 64 connections", 0.65, "times bare uvicorn", _of(NAMED, BARE, "named", 1, 64)),
    Target("JSON by name, 1,000 rows, 4 connections", 200_000, "rows/s", _rows_s(NAMED, "named", 1000, 4)),
    Target("two workers, JSON, 32 rows, 64 connections", 1.8, "times one", _of(TWO, OURS, "json", 32, 64)),
    Target("start of the process to its first answer", 0.35, "s", _alone("start_s"), at_most=True),
    Target("memory of a worker", 120, "MB", _alone("memory_mb"), at_most=True),
)
