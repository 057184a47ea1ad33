"""What a request costs a worker, read from the stored results of the other benchmarks."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.targets import OURS, median

CONNECTIONS: Final = (1, 16, 64)
SATURATED: Final = CONNECTIONS[-1]
BODIES: Final = (("json", 1), ("json", 32), ("raw", 1), ("raw", 32))
NETWORK: Final = "run the network"
REALITY: Final = "capacity_reality"

Floats = NDArray[np.float64]
Results = dict[str, Any]


@dataclass(frozen=True)
class TurnCost:
    """Processor time of a turn of a worker's event loop with ``n`` requests: ``fixed_us + n * each_us``.

    ``most`` is how many requests a saturated worker finds in a turn. It depends on its clients' connections.
    """

    fixed_us: float
    each_us: float
    most: int = SATURATED

    @property
    def saturated_us(self) -> float:
        """Processor time of a request when the worker is never idle."""
        return self.each_us + self.fixed_us / self.most

    @property
    def capacity_s(self) -> float:
        """Requests that a worker with a processor of its own can answer in a second."""
        return 1e6 / self.saturated_us

    def scaled(self, factor: float) -> TurnCost:
        """The cost with ``factor`` times the processor time, as on a slower processor."""
        return TurnCost(self.fixed_us * factor, self.each_us * factor, self.most)

    def busy(self, offered_s: Floats) -> Floats:
        """Share of its time that a worker computes if ``offered_s`` requests a second arrive independently.

        A turn takes what arrived during the turn before: a Poisson number of mean x, or one after a pause. With
        n = x + exp(-x) requests a turn, x = offered * (fixed + n * each), and the worker is idle 1 - x / n of the time.
        """
        if not self.fixed_us:
            return np.minimum(np.asarray(offered_s) * self.each_us / 1e6, 1.0)
        rates_s, arrived, turn = self._turns()
        return np.where(offered_s >= self.capacity_s, 1.0, np.interp(offered_s, rates_s, arrived / turn))

    def turn_s(self, offered_s: float) -> float:
        """The mean length of a turn at that rate, in seconds."""
        rates_s, _, turn = self._turns()
        return float(self.fixed_us + self.each_us * np.interp(offered_s, rates_s, turn)) / 1e6

    def _turns(self) -> tuple[Floats, Floats, Floats]:
        """Rates in requests/s, x and n of `busy` for each."""
        x = np.concatenate([[0.0], np.geomspace(1e-4, self.most, 400)])
        turn = x + np.exp(-x)
        return np.minimum(1e6 * x / (self.fixed_us + turn * self.each_us), self.capacity_s), x, turn


def read(folder: Path, tool: str) -> Results:
    """The stored results of a benchmark. Raises `ValueError` if there are none."""
    file = folder / f"{tool}.json"
    if not file.is_file():
        raise ValueError(f"{file} is not there; run python -m benchmarks.{tool.replace('_', '.')} first")
    found: Results = json.loads(file.read_text())
    return found


def processor_us(bench: Results, body: str, rows: int, connections: int, server: str = OURS) -> float:
    """Median processor time of a request in `benchmarks.bench`, in µs."""
    return median(bench, "processor_us", server, body, rows, connections)


def turn_cost(bench: Results, body: str, rows: int, server: str = OURS) -> TurnCost:
    """The line through processor time over 1 / connections: a turn has about as many requests as connections."""
    times_us = [processor_us(bench, body, rows, count, server) for count in CONNECTIONS]
    each_us, fixed_us = np.polynomial.Polynomial.fit([1 / count for count in CONNECTIONS], times_us, 1).convert().coef
    return TurnCost(float(fixed_us), float(each_us))


def network_us(breakdown: Results, stages: Results, body: str, rows: int) -> float:
    """Processor time of a request in the network alone, in µs: all that a GPU can take off the processor."""
    if rows == 1:
        return float(breakdown["requests"][f"{body}, {SATURATED} connections"][NETWORK])
    return float(stages["stages"][f"run int8, {rows} row(s)"]["median_us"])


def start_s(bench: Results) -> float:
    """Median time from the start of the process to its first answer."""
    return statistics.median(float(each["start_s"]) for each in bench["alone"][OURS])


def refusals(folder: Path) -> dict[tuple[str, int], float]:
    """The processor time of a refusal, as a share of that of an answer, by body. Raises `ValueError` from 1 on."""
    shares = {(each["body"], each["rows"]): float(each["share"]) for each in read(folder, REALITY)["refusals"]}
    for (body, rows), share in shares.items():
        if share >= 1:
            raise ValueError(f"refusing {rows} {body} rows takes {share} of an answer, expected less; measure again")
    return shares


def table(folder: Path) -> list[dict[str, Any]]:
    """A point for each body: measured µs by connections, the fitted cost, a worker's capacity, the network's part."""
    bench, breakdown, stages = (read(folder, tool) for tool in ("bench", "breakdown", "stages"))
    refused = refusals(folder)
    points = []
    for body, rows in BODIES:
        cost = turn_cost(bench, body, rows)
        point = {"body": body, "rows": rows}
        point |= {f"µs, {count} conn.": round(processor_us(bench, body, rows, count)) for count in CONNECTIONS}
        point |= {"fixed µs a turn": round(cost.fixed_us), "µs a request": round(cost.each_us)}
        point |= {"a worker's most, requests/s": round(cost.capacity_s)}
        point |= {"network alone, µs": round(network_us(breakdown, stages, body, rows), 1)}
        points.append(point | {"refusal ÷ answer": refused[body, rows]})
    return points
