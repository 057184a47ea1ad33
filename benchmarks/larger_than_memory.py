"""Train on a table that does not fit in memory: python -m benchmarks.larger_than_memory

Two questions. Does streaming cost accuracy: a table that fits is trained on in memory and streamed, on the same rows of
each part, by several seeds. What does a large table take: tens of millions of rows, streamed under a limit of memory,
beside a part of them in memory. The rows are synthetic: a known function of ten columns, with noise.

The limit is that of a control group, which counts the page cache as well, where this user may make one; without, the
peak of resident memory is measured and nothing is enforced.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks import provenance, report

_FILE_ROWS: Final = 2_000_000
_GROUP_ROWS: Final = 250_000
_CGROUPS: Final = Path("/sys/fs/cgroup")
_TOWNS: Final = 40
_COMPARED_ROWS: Final = 200_000
_COMPARED_SEED: Final = 1000  # none of the files'
_TRAINED: Final = re.compile(r"trained (\d+) epochs in ([\d.]+) s")


def rows(count: int, seed: int) -> pa.Table:
    """Synthetic rows: seven numbers, one of them often missing, two categories, a date; and a class to predict."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 6)).astype(np.float32)
    town, kind = random.integers(0, _TOWNS, count), random.integers(0, 4, count)
    day, age = random.integers(15_000, 19_000, count), random.integers(18, 90, count)
    score = (
        *(1.2 * np.sin(2 * x[:, 0]), x[:, 1] * x[:, 2], 0.8 * np.abs(x[:, 3]), 0.5 * np.sin(town), 0.4 * (kind % 2)),
        *(0.6 * np.cos(day / 365.25 * 2 * np.pi), 0.02 * (age - 54), random.logistic(0, 0.5, count)),
    )
    missing = pa.array(random.random(count) < 0.1)
    columns = {f"x{index}": pa.array(x[:, index]) for index in range(6)}
    columns["x5"] = pa.array(x[:, 5], mask=missing.to_numpy(zero_copy_only=False))
    columns["age"] = pa.array(age.astype(np.int16))
    columns["town"] = pa.array([f"town {index:02}" for index in range(_TOWNS)]).take(pa.array(town))
    columns["kind"] = pa.array(["new", "used", "rent", "other"]).take(pa.array(kind))
    columns["day"] = pa.array(day.astype(np.int32), pa.date32())
    columns["y"] = pa.array(["no", "yes"]).take(pa.array((np.sum(score, axis=0) > 1).astype(np.int8)))
    return pa.table(columns)


def write(folder: Path, count: int) -> Path:
    """Write ``count`` rows as a folder of Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, count, _FILE_ROWS)):
        path = folder / f"part-{number:04}.parquet"
        if not path.exists():
            table = rows(min(_FILE_ROWS, count - first), number)
            parquet.write_table(table, path.with_suffix(".tmp"), row_group_size=_GROUP_ROWS)
            path.with_suffix(".tmp").rename(path)
    return folder


@contextmanager
def group(limit_mb: int | None) -> Iterator[Path | None]:
    """A control group with a limit of memory, of version 1 or 2; None where none can be made."""
    root = _CGROUPS / "memory" if (_CGROUPS / "memory").is_dir() else _CGROUPS
    name, folder = "memory.limit_in_bytes" if root.name == "memory" else "memory.max", root / f"bench-{os.getpid()}"
    made = False
    try:
        if limit_mb is not None:
            with suppress(OSError):
                folder.mkdir()
                made = True
                (folder / name).write_text(str(limit_mb * 10**6))
        yield folder if made else None
    finally:
        if made:
            folder.rmdir()


def train(data: Path, arguments: Sequence[str], limit_mb: int | None = None) -> dict[str, Any]:
    """Run the command line; return scores, seconds and the peak of memory in MB, and how it was limited."""
    with tempfile.TemporaryDirectory() as models, group(limit_mb) as cgroup:
        command = [sys.executable, "-m", "training", str(data), "--target", "y", "--name", "t", "--models", models]

        def enter() -> None:
            if cgroup is not None:
                (cgroup / "cgroup.procs").write_text(str(os.getpid()))

        began_s = time.monotonic()
        process = subprocess.Popen(
            [*command, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            cwd=provenance.ROOT,
            preexec_fn=enter,  # noqa: PLW1509 - it starts no thread
        )
        assert process.stderr is not None
        log = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - began_s
        assert process.returncode == 0, log
        manifest = json.loads((Path(models) / "t/1/metadata.json").read_text())
        peak = next(
            (each for each in ("memory.max_usage_in_bytes", "memory.peak") if cgroup and (cgroup / each).exists()), None
        )
        trained = _TRAINED.search(log)
        assert trained is not None, log
        return {
            **{name: manifest["scores"]["fp32"][name] for name in ("accuracy", "log_loss", "ece")},
            "rows": manifest["data"]["rows"],
            "wall_s": wall_s,
            "epochs": int(trained[1]),
            "epochs_s": float(trained[2]),
            "peak_rss_mb": used.ru_maxrss * 1024 / 1e6,
            "limit_mb": limit_mb if cgroup else None,
            "peak_group_mb": int((cgroup / peak).read_text()) / 1e6 if cgroup and peak else None,
        }


def compared(folder: Path, seeds: int, say: Any) -> dict[str, list[dict[str, Any]]]:
    """Runs in memory and streamed of a table with a column that divides its rows, one for each seed of the network.

    The buffer holds 60 % of the training rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = rows(_COMPARED_ROWS, _COMPARED_SEED)
    parts = np.random.default_rng(0).choice(["train", "validation", "test"], _COMPARED_ROWS, p=(0.7, 0.15, 0.15))
    parquet.write_table(table.append_column("part", pa.array(parts)), folder / "t.parquet", row_group_size=10_000)
    modes = {"in memory": ("never",), "streamed": ("always", "--memory-mb", "100")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in modes}
    for seed in range(seeds):
        for name, options in modes.items():
            run = train(folder, ["--recipe", "fast", "--split", "part", "--seed", str(seed), "--stream", *options])
            found[name].append(run)
            say(f"{_COMPARED_ROWS:,} rows {name}, seed {seed}: log-loss {run['log_loss']:.4f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.larger_than_memory", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000, help="of the large table (default: 50 million)")
    parser.add_argument("--beside", type=int, default=_FILE_ROWS, help="of it in memory (default: 2 million)")
    parser.add_argument("--limit-mb", type=int, default=2000, help="of memory for the large table (default: 2000)")
    parser.add_argument("--seeds", type=int, default=5, help="of the comparison (default: 5)")
    parser.add_argument("--folder", type=Path, help="for the tables, which are kept (default: a temporary one)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    about = provenance.of_run(
        f"python -m benchmarks.larger_than_memory --rows {options.rows} --seeds {options.seeds}",
        f"torch {version('torch')}, pyarrow {version('pyarrow')}",
    )

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        large, part = write(root / "large", options.rows), write(root / "part", options.beside)
        runs = {
            "streamed": train(large, ["--recipe", "fast"], options.limit_mb),
            "in memory": train(part, ["--recipe", "fast", "--stream", "never"]),
        }
        say(json.dumps(runs))
        size = sum(each.stat().st_size for each in large.iterdir())
        found = {"large": runs, "compared": compared(root / "compared", options.seeds, say)}
    about |= {
        "threads": "one for torch",
        "load after": f"{os.getloadavg()[0]:.2f} processes over the minute before",
        "data": f"synthetic, {size / 1e9:.1f} GB of Parquet files",
    }
    report.save(options.results / "larger_than_memory.json", {"provenance": about, **found})


if __name__ == "__main__":
    main()
