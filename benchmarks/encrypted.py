"""What TLS costs, and whether a drain loses requests over it: python -m benchmarks.encrypted

One small row in JSON, over connections that are kept (wrk) and over a new connection for each request (our clients).
Two servers, with TLS and without, take turns on one processor; the load comes from another. Then servers with TLS get
SIGTERM under load, as in `benchmarks.shutdown`. The certificate has an ECDSA key (P-256). Prints the medians and the
ratio of TLS to plain, with a 95 % bootstrap interval; exit status 1 if a request is lost. Nothing is written. Needs
trustme, of the extra dev.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import ssl
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import trustme

from benchmarks import change, clients, load, payloads, provenance, shutdown
from benchmarks.clients import Clients
from benchmarks.markdown import listed
from benchmarks.servers import Running, Server, ours

_BODY: Final = ("json", 1)
_CONNECTIONS: Final = 16
_RECONNECTING: Final = 8


def certificate(folder: Path) -> tuple[tuple[str, ...], ssl.SSLContext]:
    """The options of a server with a new certificate, and what its clients use."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    client = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    return ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")), client


async def reconnecting(port: int, tls: ssl.SSLContext | None, seconds: float) -> float:
    """Requests per second over a new connection each."""
    group = Clients(port, tls)
    tally = group.reconnecting(_RECONNECTING, clients.post(payloads.body(*_BODY), load.CONTENT_TYPES["json"]))
    await asyncio.sleep(seconds)
    answered = tally.answers[200]
    await group.stop(shutdown.LONGEST_S)
    assert not tally.lost
    return answered / seconds


def compare(servers: tuple[Server, Server], client: ssl.SSLContext, rounds: int, seconds: int) -> change.Pairs:
    """Figures of both servers by case, one pair per round."""
    cpu, other_cpu = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    pairs: change.Pairs = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        payloads.write(Path(temporary), {_BODY})
        both = [stack.enter_context(Running(server, [cpu], Path(temporary) / "log")) for server in servers]
        for turn in range(rounds + 1):  # the first round warms up and is not kept
            found: dict[int, dict[str, float]] = {}
            for index in (0, 1) if turn % 2 else (1, 0):
                port, tls = both[index].server.port, client if index else None
                run = load.measure(both[index], Path(temporary) / "json-1", _CONNECTIONS, seconds, other_cpu)
                assert not run["failed"], f"{run['failed']} requests failed"
                found[index] = {
                    "kept connections, requests/s": run["requests_s"],
                    "kept connections, server's µs a request": run["processor_us"],
                    "new connections, requests/s": clients.run(reconnecting(port, tls, seconds)),
                }
            if turn:
                for name in found[0]:
                    pairs.setdefault(name, []).append((found[0][name], found[1][name]))
    return pairs


def lost(server: Server, client: ssl.SSLContext, trials: int) -> tuple[int, int]:
    """How many requests were answered and lost in all trials of SIGTERM."""
    moments = random.Random(0)  # noqa: S311 - no secret
    tallies = shutdown.trials(server, trials, sorted(os.sched_getaffinity(0)), moments, client)
    return sum(tally.answers[200] for tally in tallies.values()), sum(tally.lost for tally in tallies.values())


def main() -> int:
    """The command line; exit status 1 if a request is lost."""
    parser = argparse.ArgumentParser("benchmarks.encrypted", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement (default: 2)")
    parser.add_argument("--trials", type=int, default=20, help="servers that get SIGTERM (default: 20)")
    given = parser.parse_args()
    about = provenance.of(provenance.MODEL, f"python -m benchmarks.encrypted --trials {given.trials}")
    print(listed(about | load.provenance()))
    with tempfile.TemporaryDirectory() as folder:
        options, client = certificate(Path(folder))
        models = provenance.MODEL.parents[1]
        plain = ours("plain", models, "--log-level", "error")
        encrypted = ours("TLS", models, "--log-level", "error", *options, scheme="https")
        print("\nplain before, TLS now:\n")
        print(change.shown(compare((plain, encrypted), client, given.rounds, given.seconds)))
        two_workers = ours("TLS", models, "--workers", "2", *options, scheme="https")
        answered, were_lost = lost(two_workers, client, given.trials)
    print(f"\nSIGTERM under TLS, {given.trials} times: {answered:,} answered, {were_lost} lost")
    return 1 if were_lost else 0


if __name__ == "__main__":
    sys.exit(main())
