"""Workers that are killed and workers that hang, under load: what is lost, how soon they are back, are counters right?

    python -m benchmarks.deaths --deaths 50

A server of eight workers, and clients with one request each at a time. Half of the deaths are kill -9, half SIGSTOP,
which the server has to notice. Each hits the oldest worker, once all are back and it is a minute old: a younger one
would be replaced after a pause. Exit status 1 if a client loses more than one request in a death, if a worker is not
back in time, or if a counter decreases.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import clients, load, payloads, provenance, report
from benchmarks.clients import Clients, Tally
from benchmarks.servers import Running, ours

WORKERS: Final = 8
KINDS: Final = {"kill -9": signal.SIGKILL, "SIGSTOP": signal.SIGSTOP}
# How soon a worker must be back.
BACK_S: Final = 10.0
_KEPT: Final = 16
_RECONNECTING: Final = 8
_SCRAPE_S: Final = 1.0
_PAUSE_S: Final = 0.05
_LONGEST_S: Final = 60.0
# Workers that lived longer are replaced without a pause.
_OLD_S: Final = 61.0

Samples = dict[str, float]


@dataclass
class Deaths:
    """What was seen of the deaths of one kind, a figure for each: requests lost, and seconds until all were back."""

    answered: int = 0
    lost: list[int] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    scrapes: int = 0
    decreased: set[str] = field(default_factory=set)


def scrape(port: int) -> Samples | None:
    """Every sample by name and labels; None if the worker that got the request does not respond."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=_SCRAPE_S).text
    except httpx.TransportError:
        return None
    families = text_string_to_metric_families(text)
    return {f"{each.name} {sorted(each.labels.items())}": each.value for family in families for each in family.samples}


def decreased(before: Samples, after: Samples) -> set[str]:
    """The counters that are less than before, or gone."""
    counters = {name for name in before if name.partition(" ")[0].endswith(("_total", "_count", "_bucket"))}
    return {name for name in counters if after.get(name, -1.0) < before[name]}


async def die(running: Running, kind: str, seen: Deaths, tallies: list[Tally], before: Samples) -> Samples:
    """Let the oldest worker die, and wait until all are back. Returns the last scrape."""
    worker = min(running.workers(), key=lambda process: process.create_time())
    await asyncio.sleep(max(worker.create_time() + _OLD_S - time.time(), 0.0))
    seen.connections.append(sum(each.status == "ESTABLISHED" for each in worker.net_connections("tcp")))
    lost = sum(tally.lost for tally in tallies)
    answered = sum(tally.answers[200] for tally in tallies)
    deaths = before["mlp_worker_deaths_total []"]
    started_s = time.perf_counter()
    os.kill(worker.pid, KINDS[kind])
    while before["mlp_worker_deaths_total []"] == deaths or before["mlp_ready []"] == 0:
        assert time.perf_counter() - started_s < _LONGEST_S, f"worker {worker.pid} is not back after {kind}"
        await asyncio.sleep(_PAUSE_S)
        after = await asyncio.to_thread(scrape, running.server.port)
        if after is not None:
            seen.scrapes += 1
            seen.decreased |= decreased(before, after)
            before = after
    seen.back_s.append(time.perf_counter() - started_s)
    seen.lost.append(sum(tally.lost for tally in tallies) - lost)
    seen.answered += sum(tally.answers[200] for tally in tallies) - answered
    return before


async def story(running: Running, count: int) -> dict[str, Deaths]:
    """So many deaths of all kinds under load."""
    group = Clients(running.server.port)
    request = clients.post(payloads.body("json", 1), load.CONTENT_TYPES["json"])
    tallies = [group.keep_alive(_KEPT, request), group.reconnecting(_RECONNECTING, request)]
    seen = {kind: Deaths() for kind in KINDS}
    await asyncio.sleep(1)
    while (samples := await asyncio.to_thread(scrape, running.server.port)) is None or samples["mlp_ready []"] == 0:
        await asyncio.sleep(_PAUSE_S)
    for number in range(count):
        kind = [*KINDS][number * len(KINDS) // count]
        samples = await die(running, kind, seen[kind], tallies, samples)
    await group.stop(_LONGEST_S)
    return seen


def run(model: Path, count: int) -> report.Results:
    """The deaths of one server."""
    about = provenance.of(model, f"python -m benchmarks.deaths --deaths {count}")
    server = ours("ours", model.parents[1], "--workers", str(WORKERS), "--log-level", "warning")
    processors = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, Running(server, processors, Path(folder) / "log") as running:
        found = clients.run(story(running, count))
    cases = [_case(kind, seen) for kind, seen in found.items() if seen.lost]
    faults = [f"{case['death']}: {fault}" for case in cases for fault in _faults(case)]
    verdict = f"failed: {'; '.join(faults)}" if faults else "passed: at most one request per client and death was lost"
    return {"provenance": about, "cases": cases, "verdict": verdict}


def _case(kind: str, seen: Deaths) -> dict[str, Any]:
    return {
        "death": kind,
        "deaths": len(seen.lost),
        "clients": _KEPT + _RECONNECTING,
        "connections of the worker, mean": round(statistics.mean(seen.connections), 1),
        "requests lost, mean": round(statistics.mean(seen.lost), 1),
        "most": max(seen.lost),
        "answered meanwhile": seen.answered,
        "s until all are back, median": round(statistics.median(seen.back_s), 2),
        "longest": round(max(seen.back_s), 2),
        "scrapes": seen.scrapes,
        "counters that decreased": len(seen.decreased),
    }


def _faults(case: dict[str, Any]) -> list[str]:
    faults = {
        f"{case['most']} requests of {case['clients']} clients were lost": case["most"] > case["clients"],
        f"a worker was back after {case['longest']} s": case["longest"] > BACK_S,
        f"{case['counters that decreased']} counters decreased": case["counters that decreased"] > 0,
    }
    return [fault for fault, found in faults.items() if found]


def main() -> int:
    """The command line; exit status 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deaths", type=int, default=50, help="how many in all (default: 50)")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    given = parser.parse_args()
    results = run(given.model, given.deaths)
    report.save(given.results / "deaths.json", results)
    return 0 if results["verdict"].startswith("passed") else 1


if __name__ == "__main__":
    sys.exit(main())
