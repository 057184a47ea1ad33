"""The simulator beside a real server with one worker: cost by load, refusals, a step of load, the size of a scrape.

    python -m benchmarks.capacity.reality

It takes a minute. The server has one processor, the clients another.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import clients, load, payloads, provenance, report
from benchmarks.capacity import step_check
from benchmarks.capacity.costs import BODIES, REALITY, TurnCost, read, turn_cost
from benchmarks.clients import Clients, Tally
from benchmarks.overload import measured
from benchmarks.servers import Running, ours

STEPPED: Final = ("raw", 32)
BOUNDED: Final = ("json", 32)
BOUNDS_S: Final = (0.05, 0.1, 0.2, 1.0)
RATES_S: Final = (1000, 2000, 4000, 8000)
# The shortest queue refuses most requests of insistent clients, the longest none.
QUEUES_S: Final = (60.0, 0.001)
# Of requests with so many rows; fewer of one row would never fill the shortest queue.
_CLIENTS: Final = {1: 2000, 32: 64}
_PACED: Final = 64
_EACH_S: Final = 1.5
_CAPACITY_S: Final = 4.0
# uvloop's timers have ticks of a millisecond, so paced clients send in groups.
_TICK_S: Final = 1e-3

Points = list[dict[str, Any]]


@contextmanager
def started(model: Path, queue_s: float) -> Iterator[Running]:
    """A server that bounds waits by ``queue_s``, on the first processor; this process is on the last."""
    processors = sorted(os.sched_getaffinity(0))
    server = ours("ours", model.parents[1], f"--max-queue-s={queue_s:g}", "--log-level=warning")
    try:
        with tempfile.TemporaryDirectory() as folder, Running(server, processors[:1], Path(folder) / "log") as running:
            os.sched_setaffinity(0, processors[-1:])
            yield running
    finally:
        os.sched_setaffinity(0, processors)


def posted(body: str, rows: int) -> bytes:
    """A request with so many rows."""
    query = load.query_of("ours", body)
    return clients.post(payloads.body(body, rows), load.CONTENT_TYPES[body], f"/predict{query}")


def insistent(running: Running, body: str, rows: int, seconds: float = _EACH_S) -> tuple[Tally, float]:
    """Clients that ask again at once: the outcomes, and the server's processor time."""

    def begin(group: Clients) -> dict[str, Tally]:
        return {"all": group.keep_alive(_CLIENTS[rows], posted(body, rows))}

    found, used_s = clients.run(measured(running, seconds, begin))
    return found["all"], used_s


def paced(running: Running, rate_s: float) -> tuple[Tally, float]:
    """Clients that send one JSON row each at a fixed rate together."""

    def begin(group: Clients) -> dict[str, Tally]:
        return {"all": group.paced(_PACED, rate_s, posted("json", 1))}

    found, used_s = clients.run(measured(running, _EACH_S, begin))
    return found["all"], used_s


def curve(running: Running, cost: TurnCost) -> Points:
    """Processor time of a one-row request by rate, and what the fitted cost of a turn says of such groups."""
    points = []
    for rate_s in RATES_S:
        tally, used_s = paced(running, rate_s)
        answered_s = tally.answers[200] / _EACH_S
        together = max(answered_s * _TICK_S, 1.0)
        point: dict[str, Any] = {"requests/s": round(answered_s), "in a group": round(together, 1)}
        point |= {"of a processor": f"{used_s / _EACH_S:.0%}", "µs a request": round(used_s / tally.answers[200] * 1e6)}
        points.append(point | {"simulator, µs": round(cost.each_us + cost.fixed_us / together)})
    return points


def refusals(model: Path) -> Points:
    """What a refusal costs beside an answer, for each body."""
    found: list[list[tuple[Tally, float]]] = []
    for queue_s in QUEUES_S:
        with started(model, queue_s) as running:
            found.append([insistent(running, body, rows) for body, rows in BODIES])
    points = []
    for (body, rows), (plain, plain_s), (tally, used_s) in zip(BODIES, *found, strict=True):
        answer_s, refused = plain_s / plain.answers[200], tally.answers[429]
        refusal_s = max(used_s - tally.answers[200] * answer_s, 0.0) / max(refused, 1)
        point = {
            "body": body,
            "rows": rows,
            "µs an answer": round(answer_s * 1e6),
            "µs a refusal": round(refusal_s * 1e6),
        }
        points.append(point | {"refusals": refused, "share": round(refusal_s / answer_s, 2)})
    return points


def bounds(model: Path) -> Points:
    """What bounds on waiting refuse of clients that saturate the server, but never have more than a turn's requests."""
    points = []
    for queue_s in BOUNDS_S:
        with started(model, queue_s) as running:
            tally, used_s = insistent(running, *BOUNDED)
        answered, refused = tally.answers[200], tally.answers[429]
        point: dict[str, Any] = {"--max-queue-s": queue_s, "answered/s": round(answered / _EACH_S)}
        point |= {"answered per second of the processor": round(answered / used_s)}
        point |= {
            "refused": f"{refused / (answered + refused):.0%}",
            "p50 of answers, ms": round(tally.quantile_ms(0.5, 200)),
        }
        points.append(point | {"of a processor": f"{used_s / _EACH_S:.0%}"})
    return points


def step(running: Running, stored: TurnCost, refusal: float) -> Points:
    """The step on the server and in the simulator; a refusal costs ``refusal`` times an answer."""
    tally, used_s = insistent(running, *STEPPED, seconds=_CAPACITY_S)
    capacity_s, answer_us = tally.answers[200] / _CAPACITY_S, 1e6 * used_s / tally.answers[200]
    seconds = clients.run(step_check.of_server(running, posted(*STEPPED), capacity_s))
    got = sum(each.used_s for each in seconds[step_check.BEFORE_S :][: step_check.DURING_S]) / step_check.DURING_S
    costs = {"costs of this run": TurnCost(0.0, answer_us), "stored costs": stored}
    points = [{"": "server", "µs an answer": round(answer_us)} | step_check.summary(seconds)]
    for name, cost in costs.items():
        simulated = step_check.of_simulator(cost, got, refusal, capacity_s)
        points.append(
            {"": f"simulator, {name}", "µs an answer": round(cost.saturated_us)} | step_check.summary(simulated)
        )
    return [point | {"of a processor": f"{got:.0%}"} for point in points]


def scrape(running: Running) -> dict[str, int]:
    """Bytes and series of a scrape."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.server.port}/metrics") as response:
        body = response.read()
    return {"bytes": len(body), "series": sum(not line.startswith(b"#") for line in body.splitlines() if line)}


def run(model: Path) -> report.Results:
    """All cases."""
    about = provenance.of(model, "python -m benchmarks.capacity.reality")
    bench = read(report.RESULTS, "bench")
    refused = refusals(model)
    (refusal,) = [each["share"] for each in refused if (each["body"], each["rows"]) == STEPPED]
    with started(model, step_check.QUEUE_S) as running:
        costs = curve(running, turn_cost(bench, "json", 1))
        points = step(running, turn_cost(bench, *STEPPED), refusal)
        scraped = scrape(running)
    bounded = bounds(model)
    about["load after"] = f"{os.getloadavg()[0]:.2f} processes over the minute before"
    return {
        "provenance": about,
        "curve": costs,
        "refusals": refused,
        "step": points,
        "bounds": bounded,
        "scrape": scraped,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity.reality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    given = parser.parse_args()
    report.save(given.results / f"{REALITY}.json", run(given.model))


if __name__ == "__main__":
    main()
