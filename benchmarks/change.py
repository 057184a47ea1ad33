"""Compare this tree with an earlier commit: python -m benchmarks.change COMMIT

The commit is checked out in a temporary folder and run with the same Python and libraries. Serving: both servers with
the bundled model on one processor and wrk on another; their order alternates by round. Training: an epoch of
Fashion-MNIST in turn, by the estimator and by the command line. Prints the median ratio of this tree to the commit over
the rounds, with a 95 % bootstrap interval. Nothing is written.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import intervals, load, paired, payloads, provenance, training
from benchmarks.markdown import listed, table
from benchmarks.servers import Running, Server, ours

BODIES: Final = (("json", 1), ("raw", 1), ("json", 32), ("raw", 32))
CONNECTIONS: Final = (1, 64)
COMMANDS: Final = {
    "estimator, float32, an epoch": ("benchmarks.epochs_ours", "float32"),
    "estimator, bfloat16, an epoch": ("benchmarks.epochs_ours", "bfloat16"),
    "command line, an epoch": ("benchmarks.epochs_command_line",),
}
Pairs = dict[str, list[tuple[float, float]]]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with the files of ``commit``, removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=provenance.ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=provenance.ROOT, check=True)


def serving(servers: Sequence[Server], folders: Sequence[Path], rounds: int, seconds: int) -> Pairs:
    """Seconds to start, memory (MB) and requests per second of two servers, by case; one pair per round.

    Each is started in its folder of ``folders``.
    """
    cpu, wrk_cpu = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    pairs: Pairs = {}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        bodies = Path(temporary)
        payloads.write(bodies, set(BODIES))
        for turn in range(rounds):
            started: dict[int, tuple[float, float]] = {}
            for index in (0, 1) if turn % 2 else (1, 0):
                with Running(servers[index], [cpu], bodies / "log", folders[index]) as running:
                    load.measure(running, bodies / "json-32", 64, 1, wrk_cpu)
                    started[index] = running.start_s, running.memory_mb()
            for name, before, after in zip(("start, s", "memory, MB"), started[0], started[1], strict=True):
                pairs.setdefault(name, []).append((before, after))
        old, new = (
            stack.enter_context(Running(server, [cpu], bodies / "log", folder))
            for server, folder in zip(servers, folders, strict=True)
        )
        for turn in range(rounds + 1):  # the first round warms up and is not kept
            for kind, rows in BODIES:
                for connections in CONNECTIONS:
                    body = bodies / f"{kind}-{rows}"
                    first, second = (
                        partial(load.measure, on, body, connections, seconds, wrk_cpu) for on in (old, new)
                    )
                    both = paired.pair(first, second, turn)
                    for run in both:
                        assert not run["failed"], f"{run['failed']} requests failed"
                    if turn:
                        name = f"requests/s, {kind}, rows: {rows}, connections: {connections}"
                        pairs.setdefault(name, []).append((both[0]["requests_s"], both[1]["requests_s"]))
            print(f"round {turn} of {rounds}", file=sys.stderr)
    return pairs


def fitting(trees: Sequence[Path], rounds: int) -> Pairs:
    """Seconds of an epoch in both trees, by command; one pair per epoch."""
    pairs: Pairs = {}
    with tempfile.TemporaryDirectory() as temporary:
        data = training.written(Path(temporary) / "images.npz", 60_000)
        for name, (module, *arguments) in COMMANDS.items():
            given = [str(data), *arguments] if arguments else [str(rounds + 1)]
            with ExitStack() as stack:
                both = [
                    stack.enter_context(training.started([sys.executable, "-m", module, *given], tree))
                    for tree in trees
                ]
                found = [[training.epoch(process)["epoch_s"] for process in both] for _ in range(rounds + 1)]
            pairs[name] = [(before, after) for before, after in found[1:]]
            print(name, file=sys.stderr)
    return pairs


def shown(pairs: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The medians and the ratio of each case, as a Markdown table."""
    rows = []
    for name, each in pairs.items():
        before, after = (statistics.median(values) for values in zip(*each, strict=True))
        median, low, high = intervals.of_ratios(each)
        rows.append((name, f"{before:,.4g}", f"{after:,.4g}", f"{median:.3f}", f"{low:.3f} to {high:.3f}"))
    return table(("case", ">before", ">now", ">ratio", ">95 %"), rows)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.change", description=__doc__)
    parser.add_argument("commit", help="the commit to compare with")
    parser.add_argument("what", nargs="*", default=["serving", "training"], help="serving, training (default: both)")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each case (default: 9)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one serving measurement (default: 1)")
    given = parser.parse_args()
    command = " ".join(["python -m benchmarks.change", *sys.argv[1:]])
    print(listed(provenance.of(provenance.MODEL, command)))
    with checked_out(given.commit) as before:
        trees = (before, provenance.ROOT)
        if "serving" in given.what:
            servers = [ours("ours", tree / "models", "--log-level", "warning") for tree in trees]
            print(shown(serving(servers, trees, given.rounds, given.seconds)))
        if "training" in given.what:
            print(shown(fitting(trees, given.rounds)))


if __name__ == "__main__":
    main()
