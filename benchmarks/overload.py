"""More than the server can do: what is answered, what is refused and at what cost, and who gets in.

    python -m benchmarks.overload

Clients send without a pause, whatever the answer is: large requests by themselves and beside small ones, small ones
with a short queue, and new connections behind busy ones. ``--only times`` is ten times the capacity: clients that send
at a fixed rate, whether they are answered or not.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import clients, load, payloads, provenance, report
from benchmarks.clients import Clients, Tally
from benchmarks.servers import Running, ours

LARGE_ROWS: Final = 10_000
SHORT_QUEUE: Final = ("--max-queue-rows", "200")
CLIENTS: Final = (2, 8, 64, 400, 1000)
BUSY: Final = 512
FACTOR: Final = 10
# Clients of an overload, by the rate at which they ask: each waits for its answer before it asks again.
MOST_CLIENTS: Final = 4000
MAX_QUEUE_S: Final = 1.0
_PATIENCE_S: Final = 5.0
_PER_S: Final = "answered per second of the processor"

Points = list[dict[str, Any]]


def large(rows: int) -> bytes:
    """A request of so many rows of raw bytes."""
    pixels = payloads.rows(rows).astype("u1").tobytes()
    return clients.post(pixels, load.CONTENT_TYPES["raw"], "/predict?dtype=uint8")


def small() -> bytes:
    """A request of one JSON row."""
    return clients.post(payloads.body("json", 1), load.CONTENT_TYPES["json"])


def figures(tally: Tally, seconds: float) -> dict[str, Any]:
    """Answers and refusals a second, and the time they took."""
    others = {status: count for status, count in sorted(tally.answers.items()) if status not in (200, 429)}
    return {
        "answered/s": round(tally.answers[200] / seconds, 1),
        "429/s": round(tally.answers[429] / seconds, 1),
        "other answers": ", ".join(f"{count} of {status}" for status, count in others.items()) or "none",
        "lost": tally.lost,
        "p50 ms": round(tally.median_ms(), 1),
        "p99 ms": round(tally.quantile_ms(0.99), 1),
    }


async def measured(
    running: Running, seconds: float, begin: Callable[[Clients], dict[str, Tally]]
) -> tuple[dict[str, Tally], float]:
    """What became of the requests of some clients within that time, the first tenth of it left out.

    And the processor time that the server took for it: on a machine that does other things too that says more.
    """
    group = Clients(running.server.port)
    tallies = begin(group)
    await asyncio.sleep(seconds / 10)
    for tally in tallies.values():
        tally.clear()
    before_s = running.processor_s()
    await asyncio.sleep(seconds)
    used_s = running.processor_s() - before_s
    found = {name: tally.copy() for name, tally in tallies.items()}
    await group.stop(_PATIENCE_S)
    return found, used_s


def over_tenfold(running: Running, seconds: float) -> Points:
    """Ten times as many requests as can be answered, of each kind and of all together; before, meanwhile, after."""
    requests = {"10,000 rows": large(LARGE_ROWS), "100 rows": large(100), "1 row": small()}
    points = []
    for kinds in (*([kind] for kind in requests), [*requests]):
        chosen = {kind: requests[kind] for kind in kinds}
        before = clients.run(answered(running, chosen, seconds / 10))
        offered = {kind: FACTOR * per_s / len(kinds) for kind, per_s in before.items()}

        def begin(
            group: Clients, chosen: dict[str, bytes] = chosen, offered: dict[str, float] = offered
        ) -> dict[str, Tally]:
            return {
                kind: group.paced(
                    min(math.ceil(2 * MAX_QUEUE_S * offered[kind]) + 10, MOST_CLIENTS), offered[kind], request
                )
                for kind, request in chosen.items()
            }

        with Memory(running) as memory:
            clients.run(measured(running, seconds / 4, begin))
            early_mb = memory.most_mb
            found, _ = clients.run(measured(running, seconds, begin))
        after = clients.run(answered(running, chosen, 1.0))
        for kind, tally in found.items():
            answers = sum(tally.answers.values())
            points.append(
                {
                    "requests": kind,
                    "beside": ", ".join(other for other in kinds if other != kind) or "nothing",
                    "before, answered/s": round(before[kind], 1),
                    "offered/s": round(offered[kind]),
                    "came/s": round(answers / seconds),
                    **figures(tally, seconds),
                    "200 p99 ms": round(tally.quantile_ms(0.99, 200), 1),
                    "429 p50 ms": round(tally.quantile_ms(0.5, 429), 1),
                    "429 p99 ms": round(tally.quantile_ms(0.99, 429), 1),
                    "memory MB after a quarter": round(early_mb),
                    "memory MB": round(memory.most_mb),
                    "in the second after, answered/s": round(after[kind], 1),
                }
            )
    return points


async def answered(running: Running, requests: dict[str, bytes], seconds: float) -> dict[str, float]:
    """How many requests of each kind are answered a second, by clients that are just enough."""
    group = Clients(running.server.port)
    tallies = {kind: group.keep_alive(4 if len(request) > 10**6 else 16, request) for kind, request in requests.items()}
    await asyncio.sleep(seconds)
    found = {kind: tally.answers[200] / seconds for kind, tally in tallies.items()}
    await group.stop(_PATIENCE_S)
    return found


class Memory:
    """The most memory of a server while the context is open, in MB of its proportional set size."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mb = 0.0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.most_mb = max(self.most_mb, self._running.memory_mb())


def over_large(running: Running, seconds: float, rows: int) -> Points:
    """Clients of large requests alone, and ten of them beside eight of one row."""
    request = large(rows)
    points = []
    for count, beside in ((1, 0), (10, 0), (30, 0), (0, 8), (10, 8)):

        def begin(group: Clients, count: int = count, beside: int = beside) -> dict[str, Tally]:
            return {"large": group.keep_alive(count, request), "small": group.keep_alive(beside, small())}

        with Memory(running) as memory:
            found, used_s = clients.run(measured(running, seconds, begin))
        for name, number in (("large", count), ("small", beside)):
            if number:
                result = {"of": name} | figures(found[name], seconds)
                result |= {_PER_S: round(found[name].answers[200] / used_s, 1), "memory MB": round(memory.most_mb)}
                points.append({"large clients": count, "small clients": beside} | result)
    return points


def over_clients(running: Running, seconds: float, request: bytes) -> Points:
    """More and more clients of the same request."""
    points = []
    for count in CLIENTS:

        def begin(group: Clients, count: int = count) -> dict[str, Tally]:
            return {"all": group.keep_alive(count, request)}

        found, used_s = clients.run(measured(running, seconds, begin))
        result = figures(found["all"], seconds)
        points.append({"clients": count} | result | {_PER_S: round(found["all"].answers[200] / used_s)})
    return points


def over_busy(running: Running, seconds: float) -> Points:
    """A new connection for each request, ten a second, behind busy ones that are kept alive."""
    points = []
    for busy in (0, BUSY):
        for name, request in (("GET /health/live", clients.get("/health/live")), ("POST /predict", small())):

            def begin(group: Clients, busy: int = busy, request: bytes = request) -> dict[str, Tally]:
                return {"busy": group.keep_alive(busy, small()), "new": group.one_shot(10, request)}

            found, _used_s = clients.run(measured(running, seconds, begin))
            result = figures(found["new"], seconds)
            result["answers/s of the busy"] = round(found["busy"].answers[200] / seconds)
            points.append({"busy connections": busy, "asks": name} | result)
    return points


def run(model: Path, seconds: float, only: str) -> report.Results:
    """All cases, each with a server of its own."""
    processors = sorted(os.sched_getaffinity(0))
    about = provenance.of(model, f"python -m benchmarks.overload --seconds {seconds:g}")
    cases: dict[str, tuple[tuple[str, ...], Callable[[Running], Points]]] = {
        f"large requests ({LARGE_ROWS:,} raw rows)": ((), lambda running: over_large(running, seconds, LARGE_ROWS)),
        "one JSON row, a queue of 200 rows": (
            SHORT_QUEUE,
            lambda running: over_clients(running, seconds, small()),
        ),
        "100 raw rows, a queue of 200 rows": (
            SHORT_QUEUE,
            lambda running: over_clients(running, seconds, large(100)),
        ),
        "a new connection, ten a second": ((), lambda running: over_busy(running, seconds)),
        f"{FACTOR} times the capacity": (
            (f"--max-queue-s={MAX_QUEUE_S:g}", "--log-level=warning"),
            lambda running: over_tenfold(running, seconds),
        ),
    }
    found = {}
    for name, (arguments, case) in cases.items():
        if only in name:
            server = ours("ours", model.parents[1], *arguments)
            with (
                tempfile.TemporaryDirectory() as folder,
                Running(server, processors[:1], Path(folder) / "log") as running,
            ):
                os.sched_setaffinity(0, processors[-1:])
                found[name] = case(running)
            os.sched_setaffinity(0, processors)
    return {"provenance": about, "cases": found}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long each case takes (default: 10)")
    parser.add_argument("--only", default="", help="only the cases whose name has this in it")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    given = parser.parse_args()
    report.save(given.results / "overload.json", run(given.model, given.seconds, given.only))


if __name__ == "__main__":
    main()
