"""How long a scrape takes, and how long it holds up the event loop: ours beside prometheus_client's own collector.

    python -m benchmarks.scrapes

For 1, 4 and 8 workers and models of 10 and 1,000 classes that all have series of their own. Both take turns in one
process: prometheus_client's collects on the event loop, ours in a thread. A task that sleeps for 1 ms sees the pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry, PlatformCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from benchmarks import markdown, provenance
from service import metrics
from service.heartbeats import Heartbeats
from service.metrics import Metrics
from service.metrics.processes import ServerProcesses
from service.metrics.scrapes import GZIP_LEVEL, Scrapes, Wanted
from service.metrics.text_formats import Format
from service.metrics.workers import WorkersNow
from service.requests import RequestRecord

_FORK: Final = get_context("fork")
_TICK_S: Final = 0.001
_SETTLE_S: Final = 0.02
# About as long as a scrape of ours: what else runs on the machine pauses the event loop meanwhile, too.
_IDLE_S: Final = 0.003
_ROUTES: Final = ("/predict", "/models/{name}/predict", "/v2/models/{name}/infer", "/metrics")


def filled(index: int, workers: int, classes: int, folder: Path) -> Metrics:
    """A worker that has served some requests and rows."""
    counted = metrics.worker(index, folder, Heartbeats(workers))
    counted.models.loaded("model", 1, 0.5)
    ran = counted.models.batches("model", 1, [f"label {number}" for number in range(classes)])
    answers = np.arange(200) % classes
    ran(np.full((200, classes), 1 / classes, np.float32), answers)
    records = []
    for number in range(200):
        record = RequestRecord("POST", "/predict", "id", 0.0)
        record.route, record.status = _ROUTES[number % 4], (200, 200, 422)[number % 3]
        record.model, record.rows, record.duration_s = "model", 1, number * 1e-5
        records.append(record)
    counted.count(records)
    return counted


async def longest_pause_s(scrape: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """The longest pause of the event loop while ``scrape`` runs, and how long that takes."""
    pauses_s, running = [0.0], True

    async def tick() -> None:
        while running:
            due_s = time.perf_counter() + _TICK_S
            await asyncio.sleep(_TICK_S)
            pauses_s.append(time.perf_counter() - due_s)

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(_SETTLE_S)
    pauses_s.clear()
    began_s = time.perf_counter()
    await scrape()
    took_s = time.perf_counter() - began_s
    await asyncio.sleep(2 * _TICK_S)
    running = False
    await ticking
    return max(pauses_s), took_s


async def compare(counted: Metrics, heartbeats: Heartbeats, rounds: int) -> dict[str, Any]:
    """The medians of both, in milliseconds, and the sizes of a scrape."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # it has no types
    PlatformCollector(registry)
    registry.register(ServerProcesses())
    registry.register(WorkersNow(heartbeats))
    scrapes, wanted = Scrapes(counted.scrape), Wanted(Format.TEXT, gzipped=False)

    async def theirs() -> bytes:
        return generate_latest(registry)

    async def ours() -> bytes:
        return await scrapes(wanted)

    async def nothing() -> None:
        await asyncio.sleep(_IDLE_S)

    kinds: dict[str, Callable[[], Awaitable[object]]] = {"theirs": theirs, "ours": ours, "idle": nothing}
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    await theirs(), await ours()
    for _ in range(rounds):
        for name, scrape in kinds.items():
            seen[name].append(await longest_pause_s(scrape))
    text = await ours()
    sizes = {"bytes": len(text), "gzip": len(gzip.compress(text, GZIP_LEVEL, mtime=0)), "series": text.count(b"\n")}
    return sizes | {
        f"{name} {what}": median(each[place] for each in seen[name]) * 1e3
        for name in seen
        for place, what in enumerate(("pause", "time"))
    }


def measure(workers: int, classes: int, rounds: int) -> dict[str, Any]:
    """One case, in a process of its own, as a process has one folder of metrics."""

    def work() -> None:
        for index in range(1, workers):
            other = _FORK.Process(target=filled, args=(index, workers, classes, folder))
            other.start()
            other.join()
        counted = filled(0, workers, classes, folder)
        (folder / "found").write_text(json.dumps(uvloop.run(compare(counted, Heartbeats(workers), rounds))))

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        process = _FORK.Process(target=work)
        process.start()
        process.join()
        found: dict[str, Any] = json.loads((folder / "found").read_text())
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    rows = []
    for workers in (1, 4, 8):
        for classes in (10, 1000):
            found = measure(workers, classes, given.rounds)
            row = [f"{workers}", f"{classes:,}", f"{found['bytes']:,}", f"{found['gzip']:,}"]
            for what in ("time", "pause"):
                theirs, ours = found[f"theirs {what}"], found[f"ours {what}"]
                row += [f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.1f}"]
            rows.append([*row, f"{found['idle pause']:.2f}"])
    head = ["workers", "classes", "bytes", "gzip", "time: theirs", "ours", "ratio"]
    head += ["pause: theirs", "ours", "ratio", "without a scrape"]
    print(f"{provenance.processor()}, commit {provenance.commit()}; medians of {given.rounds} in ms")
    print(markdown.table([f">{name}" for name in head], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
