"""SIGTERM under load, many times: no request on a connection that the kernel accepted may be lost.

    python -m benchmarks.shutdown --trials 50

Clients of each kind send requests throughout the drain. A request is lost if it was sent over an established connection
and got no complete response; a refused connection loses nothing. Exit status 1 if any is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks import clients, load, payloads, provenance, report
from benchmarks.clients import Clients, Tally
from benchmarks.servers import Running, Server, ours

# Through the fast path and through FastAPI, with one process and with two.
SERVERS: Final = {
    f"{path}, {workers} worker(s)": ("--workers", str(workers), "--fast-path", fast)
    for path, fast in (("fast path", "true"), ("FastAPI", "false"))
    for workers in (1, 2)
}
PER_S: Final = 150
_KEPT: Final = 16
_RECONNECTING: Final = 8
LONGEST_S: Final = 30.0


async def trial(running: Running, after_s: float, tls: ssl.SSLContext | None = None) -> dict[str, Tally]:
    """Load of every kind, and SIGTERM after ``after_s``; the tallies once the server has ended."""
    group = Clients(running.server.port, tls)
    request = clients.post(payloads.body("json", 1), load.CONTENT_TYPES["json"])
    tallies = {
        "keep-alive": group.keep_alive(_KEPT, request),
        "one-shot": group.one_shot(PER_S, request),
        "reconnecting": group.reconnecting(_RECONNECTING, request),
    }
    await asyncio.sleep(after_s)
    status = await asyncio.to_thread(running.stop)
    await group.stop(LONGEST_S)
    assert status == 0, f"the server ended with exit status {status}"
    return tallies


def trials(
    server: Server, count: int, processors: list[int], moments: random.Random, tls: ssl.SSLContext | None = None
) -> dict[str, Tally]:
    """The sums over ``count`` trials, each with a new server and the signal at a random moment."""
    sums = {name: Tally() for name in ("keep-alive", "one-shot", "reconnecting")}
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder, Running(server, processors, Path(folder) / "log") as running:
            found = clients.run(trial(running, moments.uniform(0.2, 0.7), tls))
        for name, tally in found.items():
            sums[name].answers += tally.answers
            sums[name].lost += tally.lost
            sums[name].refused += tally.refused
    return sums


def run(model: Path, count: int) -> report.Results:
    """The trials, spread over the servers."""
    processors = sorted(os.sched_getaffinity(0))
    about = provenance.of(model, f"python -m benchmarks.shutdown --trials {count}")
    moments = random.Random(0)  # noqa: S311 - no secret
    cases: list[dict[str, Any]] = []
    for index, (name, arguments) in enumerate(SERVERS.items()):
        share = count // len(SERVERS) + (index < count % len(SERVERS))
        if share == 0:
            continue
        sums = trials(ours(name, model.parents[1], *arguments), share, processors, moments)
        for kind, tally in sums.items():
            cases.append(
                {
                    "server": name,
                    "trials": share,
                    "clients": kind,
                    "answered": tally.answers[200],
                    "other statuses": tally.answers.total() - tally.answers[200],
                    "connections refused": tally.refused,
                    "lost": tally.lost,
                }
            )
    lost = sum(case["lost"] for case in cases)
    verdict = f"failed: {lost} requests were lost" if lost else "passed: none was lost"
    return {"provenance": about, "cases": cases, "verdict": verdict}


def main() -> int:
    """The command line; exit status 1 if a request is lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50, help="number of trials (default: 50)")
    parser.add_argument("--model", type=Path, default=provenance.MODEL, help="published version to serve")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder the figures go to")
    given = parser.parse_args()
    results = run(given.model, given.trials)
    report.save(given.results / "shutdown.json", results)
    return 0 if results["verdict"].startswith("passed") else 1


if __name__ == "__main__":
    sys.exit(main())
