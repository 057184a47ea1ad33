"""What tracing and the payload log cost: servers that do one of these things, beside one that does none.

The servers have the shipped model and one processor; wrk and a receiver of OTLP that reads and discards have another.
Each case is measured in alternation, in an order that changes every round. Prints the median over the rounds of the
ratio of requests per second, with over without, with a 95 % bootstrap interval, and the same for the processor time of
a request, which other programs on the machine disturb less. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks import intervals, load, payloads, provenance
from benchmarks.markdown import listed, table
from benchmarks.servers import Running, ours

BODIES: Final = (("json", 1), ("raw", 1))
CONNECTIONS: Final = 64
SAMPLED: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_RATIO: Final = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


@dataclass(frozen=True)
class Case:
    """What a server does beyond answering: options, variables, and headers of its requests."""

    name: str
    options: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    exports: bool = True


def cases(folder: Path) -> list[Case]:
    """All cases; the first one is what the others are compared with."""
    logged = ("--payload-log", str(folder / "payload-log"), "--payload-sample", "0.01")
    return [
        Case("nothing", exports=False),
        Case("a traceparent in each request, no spans", headers={"traceparent": SAMPLED}, exports=False),
        Case("spans of 1 % of the requests", variables=_RATIO | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}),
        Case("spans of all requests", variables=_RATIO | {"OTEL_TRACES_SAMPLER_ARG": "1"}),
        Case("payloads of 1 % of the requests", options=logged, exports=False),
    ]


class _Discard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[str]:
    """The endpoint of a receiver of OTLP that discards what it gets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Discard)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def started(case: Case, endpoint: str, processor: int, folder: Path) -> Running:
    """The server of a case."""
    variables = dict(case.variables) | ({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if case.exports else {})
    server = ours("ours", provenance.MODEL.parents[1], *case.options)
    given = [f"{name}={value}" for name, value in variables.items()]
    return Running(replace(server, command=("env", *given, *server.command)), [processor], folder / "log")


def measured(rounds: int, seconds: int) -> tuple[list[str], dict[str, list[list[dict[str, float]]]]]:
    """The names of the cases; and by body their runs, one list a round."""
    own, other = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {other})  # for the receiver
    found: dict[str, list[list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        payloads.write(folder, set(BODIES))
        endpoint = stack.enter_context(receiver())
        every = cases(folder)
        servers = [stack.enter_context(started(case, endpoint, own, folder)) for case in every]
        for turn in range(rounds + 1):  # the first round warms up and does not count
            for kind, rows in BODIES:
                runs: dict[int, dict[str, float]] = {}
                for index in ((turn + each) % len(servers) for each in range(len(servers))):
                    path = f"{servers[index].server.path}{load.query_of('ours', kind)}"
                    headers = {"Content-Type": load.CONTENT_TYPES[kind], **every[index].headers}
                    body = folder / f"{kind}-{rows}"
                    runs[index] = load.measure_path(servers[index], path, headers, body, CONNECTIONS, seconds, other)
                    assert not runs[index]["failed"], "requests failed"
                if turn:
                    found.setdefault(f"{kind}, rows: {rows}", []).append([runs[each] for each in range(len(servers))])
            print(f"round {turn} of {rounds}", file=sys.stderr)
    return [case.name for case in every], found


def shown(names: Sequence[str], found: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> str:
    """The figures as a table: each case of ``names`` beside the first one."""
    lines: list[Sequence[str]] = []
    for body, rounds in found.items():
        for index, name in enumerate(names[1:], 1):
            rates, times = (
                intervals.of_ratios([(runs[0][figure], runs[index][figure]) for runs in rounds])
                for figure in ("requests_s", "processor_us")
            )
            late = [statistics.median(runs[each]["p99_ms"] for runs in rounds) for each in (0, index)]
            without = statistics.median(runs[0]["requests_s"] for runs in rounds)
            ratios = [f"{median:.3f} ({low:.3f} to {high:.3f})" for median, low, high in (rates, times)]
            lines.append((body, name, f"{without:,.0f}", *ratios, f"{late[0]:.2f} → {late[1]:.2f}"))
    return table(("body", "with", ">requests/s without", ">ratio", ">ratio of processor time", ">p99, ms"), lines)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.tracing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="runs of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one run (default: 1)")
    given = parser.parse_args()
    origin = provenance.of(provenance.MODEL, " ".join(sys.argv)) | load.provenance()
    figures = measured(given.rounds, given.seconds)
    print(listed(origin))
    print(shown(*figures))


if __name__ == "__main__":
    main()
